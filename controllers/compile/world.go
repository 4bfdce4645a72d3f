package compile

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
)

// World is what compile reads. What does not exist is nil. Nothing returned may be changed.
type World interface {
	AuthorizationServer(name string) *v1alpha1.AuthorizationServer
	AuthorizationServers() []*v1alpha1.AuthorizationServer
	Namespace(name string) *corev1.Namespace
	// Namespaces are all there are.
	Namespaces() []*corev1.Namespace
	ResourceServer(namespace, name string) *v1alpha1.ResourceServer
	// ResourceServersClaiming are those with the identifier.
	ResourceServersClaiming(identifier string) []*v1alpha1.ResourceServer
	// LocalUsersWithSubject are those with the effective subject.
	LocalUsersWithSubject(subject string) []*v1alpha1.LocalUser
	// OperatorSecret is a Secret in the operator's namespace.
	OperatorSecret(name string) *corev1.Secret
	// Keys are the keys of the AuthorizationServer's Secret; nil without an error when there is no Secret.
	Keys(authorizationServer string) (*keys.Set, error)
}

// Indexes that a Reader's cache must have; SetupIndexes adds them.
const (
	// IdentifierField indexes ResourceServers by spec.identifier.
	IdentifierField = "spec.identifier"
	// SubjectField indexes LocalUsers by their effective subject.
	SubjectField = "effectiveSubject"
)

// SetupIndexes adds the field indexes that a Reader needs.
func SetupIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	return errors.Join(
		indexer.IndexField(ctx, &v1alpha1.ResourceServer{}, IdentifierField, func(o client.Object) []string {
			return []string{o.(*v1alpha1.ResourceServer).Spec.Identifier}
		}),
		indexer.IndexField(ctx, &v1alpha1.LocalUser{}, SubjectField, func(o client.Object) []string {
			return []string{EffectiveSubject(o.(*v1alpha1.LocalUser))}
		}),
	)
}

// Reader is a World over a cached client.Reader. It serves one compilation: after it, Err tells whether an answer was
// missing for another reason than that the object is not there.
type Reader struct {
	// Parsed remembers keys from one Reader to the next; they are parsed each time when it is nil.
	Parsed *ParsedKeys

	ctx       context.Context
	reader    client.Reader
	namespace string
	err       error
}

// NewReader makes a Reader; operatorNamespace is where OperatorSecret looks.
func NewReader(ctx context.Context, reader client.Reader, operatorNamespace string) *Reader {
	return &Reader{ctx: ctx, reader: reader, namespace: operatorNamespace}
}

// Err is the first failure to read. What was compiled before it is not to be used.
func (r *Reader) Err() error { return r.err }

func (r *Reader) note(err error) {
	if r.err == nil && err != nil && !apierrors.IsNotFound(err) {
		r.err = err
	}
}

// get returns the object, or nil. One of ours that is being deleted is gone already: somebody's finalizer must not keep a
// deleted client's tokens alive.
func get[T any, P interface {
	*T
	client.Object
}](r *Reader, namespace, name string) P {
	obj := P(new(T))
	if err := r.reader.Get(r.ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		r.note(err)
		return nil
	}
	switch any(obj).(type) {
	case *v1alpha1.AuthorizationServer, *v1alpha1.ResourceServer, *v1alpha1.OAuthClient, *v1alpha1.LocalUser:
		if obj.GetDeletionTimestamp() != nil {
			return nil
		}
	}
	return obj
}

// AuthorizationServer implements World.
func (r *Reader) AuthorizationServer(name string) *v1alpha1.AuthorizationServer {
	return get[v1alpha1.AuthorizationServer](r, "", name)
}

// AuthorizationServers implements World.
func (r *Reader) AuthorizationServers() []*v1alpha1.AuthorizationServer {
	var all v1alpha1.AuthorizationServerList
	r.note(r.reader.List(r.ctx, &all))
	return pointers(all.Items)
}

// Namespace implements World.
func (r *Reader) Namespace(name string) *corev1.Namespace {
	return get[corev1.Namespace](r, "", name)
}

// Namespaces implements World.
func (r *Reader) Namespaces() []*corev1.Namespace {
	var all corev1.NamespaceList
	r.note(r.reader.List(r.ctx, &all))
	out := make([]*corev1.Namespace, 0, len(all.Items))
	for i := range all.Items {
		out = append(out, &all.Items[i])
	}
	return out
}

// ResourceServer implements World.
func (r *Reader) ResourceServer(namespace, name string) *v1alpha1.ResourceServer {
	return get[v1alpha1.ResourceServer](r, namespace, name)
}

// ResourceServersClaiming implements World.
func (r *Reader) ResourceServersClaiming(identifier string) []*v1alpha1.ResourceServer {
	var found v1alpha1.ResourceServerList
	r.note(r.reader.List(r.ctx, &found, client.MatchingFields{IdentifierField: identifier}))
	return pointers(found.Items)
}

// LocalUsersWithSubject implements World.
func (r *Reader) LocalUsersWithSubject(subject string) []*v1alpha1.LocalUser {
	var found v1alpha1.LocalUserList
	r.note(r.reader.List(r.ctx, &found, client.MatchingFields{SubjectField: subject}))
	return pointers(found.Items)
}

// OAuthClient returns the client, or nil. Compilations of other objects never read it; UnresolvedClients does.
func (r *Reader) OAuthClient(namespace, name string) *v1alpha1.OAuthClient {
	return get[v1alpha1.OAuthClient](r, namespace, name)
}

// LocalUser returns the user, or nil. Compilations of other objects read LocalUsersWithSubject only.
func (r *Reader) LocalUser(name string) *v1alpha1.LocalUser {
	return get[v1alpha1.LocalUser](r, "", name)
}

// OperatorSecret implements World.
func (r *Reader) OperatorSecret(name string) *corev1.Secret {
	return get[corev1.Secret](r, r.namespace, name)
}

// Keys implements World.
func (r *Reader) Keys(authorizationServer string) (*keys.Set, error) {
	name := KeysSecretPrefix + authorizationServer
	secret := r.OperatorSecret(name)
	if secret == nil {
		r.Parsed.forget(name)
		return nil, nil // absent and unreadable are told apart by the error
	}
	return r.Parsed.Parse(secret)
}

// ParseKeys reads the keys out of an AuthorizationServer's Secret. Its errors hold nothing of the keys.
func ParseKeys(secret *corev1.Secret) (*keys.Set, error) {
	material, err := keys.Unmarshal(secret.Data[KeysSecretKey])
	if err != nil {
		return nil, err
	}
	return keys.NewSet(material)
}

// pointers are the items that are not being deleted.
func pointers[T any, P interface {
	*T
	client.Object
}](items []T) []*T {
	out := make([]*T, 0, len(items))
	for i := range items {
		if P(&items[i]).GetDeletionTimestamp() == nil {
			out = append(out, &items[i])
		}
	}
	return out
}
