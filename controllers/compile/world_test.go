package compile

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
)

// memory is a World of literal objects. Those added first are the oldest.
type memory struct {
	authorizationServers []*v1alpha1.AuthorizationServer
	resourceServers      []*v1alpha1.ResourceServer
	users                []*v1alpha1.LocalUser
	namespaces           map[string]map[string]string
	secrets              map[string]*corev1.Secret
	keySets              map[string]*keys.Set
	created              int
}

func (m *memory) meta(namespace, name string) metav1.ObjectMeta {
	m.created++
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID(fmt.Sprintf("uid-%03d", m.created)),
		CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000+int64(m.created), 0)),
	}
}

// spec reads a spec as a user would write it.
func spec[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
		t.Fatalf("spec: %v\n%s", err, text)
	}
	return v
}

func (m *memory) addServer(t *testing.T, name, text string) *v1alpha1.AuthorizationServer {
	t.Helper()
	as := &v1alpha1.AuthorizationServer{ObjectMeta: m.meta("", name), Spec: spec[v1alpha1.AuthorizationServerSpec](t, text)}
	m.authorizationServers = append(m.authorizationServers, as)
	return as
}

func (m *memory) addResource(t *testing.T, namespace, name, text string) *v1alpha1.ResourceServer {
	t.Helper()
	rs := &v1alpha1.ResourceServer{ObjectMeta: m.meta(namespace, name), Spec: spec[v1alpha1.ResourceServerSpec](t, text)}
	m.resourceServers = append(m.resourceServers, rs)
	return rs
}

func (m *memory) addUser(t *testing.T, name, text string) *v1alpha1.LocalUser {
	t.Helper()
	u := &v1alpha1.LocalUser{ObjectMeta: m.meta("", name), Spec: spec[v1alpha1.LocalUserSpec](t, text)}
	m.users = append(m.users, u)
	return u
}

func (m *memory) client(t *testing.T, namespace, name, text string) *v1alpha1.OAuthClient {
	t.Helper()
	return &v1alpha1.OAuthClient{ObjectMeta: m.meta(namespace, name), Spec: spec[v1alpha1.OAuthClientSpec](t, text)}
}

func (m *memory) AuthorizationServer(name string) *v1alpha1.AuthorizationServer {
	for _, as := range m.authorizationServers {
		if as.Name == name {
			return as
		}
	}
	return nil
}

func (m *memory) AuthorizationServers() []*v1alpha1.AuthorizationServer {
	return m.authorizationServers
}

func (m *memory) Namespace(name string) *corev1.Namespace {
	labels, ok := m.namespaces[name]
	if !ok {
		return nil
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func (m *memory) Namespaces() []*corev1.Namespace {
	var out []*corev1.Namespace
	for name := range m.namespaces {
		out = append(out, m.Namespace(name))
	}
	return out
}

func (m *memory) ResourceServer(namespace, name string) *v1alpha1.ResourceServer {
	for _, rs := range m.resourceServers {
		if rs.Namespace == namespace && rs.Name == name {
			return rs
		}
	}
	return nil
}

func (m *memory) ResourceServersClaiming(identifier string) []*v1alpha1.ResourceServer {
	var out []*v1alpha1.ResourceServer
	for _, rs := range m.resourceServers {
		if rs.Spec.Identifier == identifier {
			out = append(out, rs)
		}
	}
	return out
}

func (m *memory) LocalUsersWithSubject(subject string) []*v1alpha1.LocalUser {
	var out []*v1alpha1.LocalUser
	for _, u := range m.users {
		if EffectiveSubject(u) == subject {
			out = append(out, u)
		}
	}
	return out
}

func (m *memory) OperatorSecret(name string) *corev1.Secret { return m.secrets[name] }

func (m *memory) Keys(name string) (*keys.Set, error) { return m.keySets[name], nil }

// newMemory has the issuer `default`, open to namespaces labelled oauth=yes, and three namespaces: shop and web are, dark is not.
func newMemory(t *testing.T) *memory {
	t.Helper()
	m := &memory{
		namespaces: map[string]map[string]string{
			"shop": {"oauth": "yes", "team": "shop"},
			"web":  {"oauth": "yes", "team": "web"},
			"dark": {},
		},
		secrets: map[string]*corev1.Secret{},
		keySets: map[string]*keys.Set{},
	}
	m.addServer(t, "default", `
issuer: https://login.example.com
allowedNamespaces: {selector: {matchLabels: {oauth: "yes"}}}
resourceIdentifiers:
- {prefix: "https://api.example.com/shop/", namespaceSelector: {matchLabels: {team: shop}}}
kubernetes:
  audiences: [https://kubernetes.default.svc]
  clients: [{namespace: web, name: kubectl}]
`)
	material, _, err := (*keys.Material)(nil).Rotate(KeySchedule(m.authorizationServers[0]), time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if m.keySets["default"], err = keys.NewSet(material); err != nil {
		t.Fatal(err)
	}
	return m
}

// has says whether there is a problem with the reason whose message contains every text.
func has(problems []Problem, reason string, texts ...string) bool {
	for _, p := range problems {
		if p.Reason == reason && containsAll(p.Message, texts) {
			return true
		}
	}
	return false
}
