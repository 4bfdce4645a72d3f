package publish

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/keys"
)

// kind is what a dependency is: an object, or the answer to a question about several.
type kind uint8

const (
	kindAuthorizationServer kind = iota
	kindResourceServer
	kindOAuthClient
	kindLocalUser
	kindNamespace
	kindSecret
	kindIdentifier // the ResourceServers that claim an identifier
	kindSubject    // the LocalUsers with a subject
	kindAll        // all AuthorizationServers
	kindNamespaces // all Namespaces
)

// dependency is something that a compilation read. It may be absent: that it was missed is a dependency too.
type dependency struct {
	kind            kind
	namespace, name string
}

var (
	allAuthorizationServers = dependency{kind: kindAll}
	allNamespaces           = dependency{kind: kindNamespaces}
)

// recorder is a World that notes what is read.
type recorder struct {
	compile.World
	keys *keyMemo
	memo *memo
	read map[dependency]struct{}
}

func newRecorder(w compile.World, keys *keyMemo, m *memo) *recorder {
	return &recorder{World: w, keys: keys, memo: m, read: map[dependency]struct{}{}}
}

// Recall implements compile.Memory. Whoever is told what was compiled before has read what that compilation read.
func (r *recorder) Recall(key any, compiled func(compile.World) any) any {
	entry, known := r.memo.entries[key]
	if !known {
		sub := newRecorder(r.World, r.keys, r.memo)
		entry = memoEntry{compiled(sub), sub.read}
		r.memo.set(key, entry)
	}
	maps.Copy(r.read, entry.read)
	return entry.value
}

func (r *recorder) note(k kind, namespace, name string) {
	r.read[dependency{k, namespace, name}] = struct{}{}
}

func (r *recorder) AuthorizationServer(name string) *v1alpha1.AuthorizationServer {
	r.note(kindAuthorizationServer, "", name)
	return r.World.AuthorizationServer(name)
}

func (r *recorder) AuthorizationServers() []*v1alpha1.AuthorizationServer {
	r.read[allAuthorizationServers] = struct{}{}
	return r.World.AuthorizationServers()
}

func (r *recorder) Namespace(name string) *corev1.Namespace {
	r.note(kindNamespace, "", name)
	return r.World.Namespace(name)
}

func (r *recorder) Namespaces() []*corev1.Namespace {
	r.read[allNamespaces] = struct{}{}
	return r.World.Namespaces()
}

func (r *recorder) ResourceServer(namespace, name string) *v1alpha1.ResourceServer {
	r.note(kindResourceServer, namespace, name)
	return r.World.ResourceServer(namespace, name)
}

func (r *recorder) ResourceServersClaiming(identifier string) []*v1alpha1.ResourceServer {
	r.note(kindIdentifier, "", identifier)
	return r.World.ResourceServersClaiming(identifier)
}

func (r *recorder) LocalUsersWithSubject(subject string) []*v1alpha1.LocalUser {
	r.note(kindSubject, "", subject)
	return r.World.LocalUsersWithSubject(subject)
}

func (r *recorder) OperatorSecret(name string) *corev1.Secret {
	r.note(kindSecret, "", name)
	return r.World.OperatorSecret(name)
}

// Keys are the issuer's last good ones while its Secret is damaged or gone: users and all else that is compiled with keys stay
// in force together with them.
func (r *recorder) Keys(authorizationServer string) (*keys.Set, error) {
	set, err := r.stored(authorizationServer)
	if last := r.keys.lastGood(authorizationServer); set == nil && last != nil {
		return last, nil
	}
	return set, err
}

// stored are the keys as the Secret has them now.
func (r *recorder) stored(authorizationServer string) (*keys.Set, error) {
	return r.keys.parse(r.OperatorSecret(compile.KeysSecretPrefix + authorizationServer))
}

// keyMemo remembers parsed keys, and the last ones that could be used: a damaged Secret must not make every live token invalid.
type keyMemo struct {
	parsed compile.ParsedKeys
	last   map[string]*keys.Set // by the Secret's name
}

func (m *keyMemo) parse(secret *corev1.Secret) (*keys.Set, error) {
	if secret == nil {
		return nil, nil // as World.Keys has it
	}
	set, err := m.parsed.Parse(secret)
	if err == nil {
		m.last[secret.Name] = set
	}
	return set, err
}

// lastGood are the keys that could be used last; nil when there never were any.
func (m *keyMemo) lastGood(authorizationServer string) *keys.Set {
	return m.last[compile.KeysSecretPrefix+authorizationServer]
}
