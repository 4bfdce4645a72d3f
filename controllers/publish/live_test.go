package publish_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/registry"
)

func TestClientIsUsableChangedAndGoneWithoutRestart(t *testing.T) {
	w := newWorld(t, "live")
	holder := start(t)
	c := w.storefront(t)
	id := compile.ClientID(c)
	eventually(t, "the new client", func() bool { return clientIn(holder, id) != nil })

	update(t, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.RedirectURIs = []v1alpha1.RedirectURI{"https://shop.example/other"}
	})
	eventually(t, "the changed redirect URI", func() bool {
		return clientIn(holder, id).RedirectURIs[0].URI == "https://shop.example/other"
	})

	remove(t, c)
	eventually(t, "that the client is gone", func() bool { return clientIn(holder, id) == nil })
	iss, _ := holder.Load().ByURL(issuerURL)
	if _, gone := iss.Gone.Get(string(c.UID)); !gone {
		t.Error("a client that was there is not told from one that was never seen")
	}
}

// Somebody's finalizer keeps the object, not what it was good for.
func TestDeletedClientWithAFinalizerIsGone(t *testing.T) {
	w := newWorld(t, "finalizer")
	holder := start(t)
	c := w.storefront(t)
	const finalizer = "example.com/hold"
	update(t, c, func(c *v1alpha1.OAuthClient) { c.Finalizers = []string{finalizer} })
	id := compile.ClientID(c)
	eventually(t, "the client", func() bool { return clientIn(holder, id) != nil })
	remove(t, c)
	t.Cleanup(func() { update(t, c, func(c *v1alpha1.OAuthClient) { c.Finalizers = nil }) })
	eventually(t, "that the client is gone", func() bool { return clientIn(holder, id) == nil })
}

func TestRecreatedClientIsAnotherOne(t *testing.T) {
	w := newWorld(t, "again")
	holder := start(t)
	first := w.storefront(t)
	id := compile.ClientID(first)
	eventually(t, "the client", func() bool { return clientIn(holder, id) != nil })
	remove(t, first)
	second := w.storefront(t)
	eventually(t, "the UID of the second", func() bool {
		c := clientIn(holder, id)
		return c != nil && c.UID == string(second.UID)
	})
}

func TestOwnersRuleTakesEffectInAnyOrder(t *testing.T) {
	w := newWorld(t, "order")
	holder := start(t)
	c := w.storefront(t) // before the ResourceServer it refers to
	id := compile.ClientID(c)
	eventually(t, "the client", func() bool { return clientIn(holder, id) != nil })

	rs := w.orders(t)
	rule := v1alpha1.AccessRule{
		NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"team": "web"}},
		Clients:           []string{"storefront"}, Scopes: []string{"orders.read"},
	}
	update(t, rs, func(rs *v1alpha1.ResourceServer) { rs.Spec.Access = []v1alpha1.AccessRule{rule} })
	if mayAsk(holder, id, rs.Spec.Identifier) {
		t.Fatal("allowed although the namespace lacks the label")
	}
	update(t, w.web, func(n *corev1.Namespace) { n.Labels["team"] = "web" })
	eventually(t, "that the label lets the client in", func() bool { return mayAsk(holder, id, rs.Spec.Identifier) })

	update(t, rs, func(rs *v1alpha1.ResourceServer) { rs.Spec.Access = nil })
	eventually(t, "that the rule is withdrawn", func() bool { return !mayAsk(holder, id, rs.Spec.Identifier) })
}

func TestNamespaceThatIsNoLongerAllowed(t *testing.T) {
	w := newWorld(t, "allow")
	holder := start(t)
	id := compile.ClientID(w.storefront(t))
	eventually(t, "the client", func() bool { return clientIn(holder, id) != nil })
	update(t, w.web, func(n *corev1.Namespace) { delete(n.Labels, "oauth") })
	eventually(t, "that the client is refused", func() bool { return clientIn(holder, id) == nil })
}

func TestIdentifierPassesToTheNextClaim(t *testing.T) {
	w := newWorld(t, "claim")
	const identifier = "https://api.example.com/x"
	update(t, w.issuer, func(as *v1alpha1.AuthorizationServer) {
		as.Spec.ResourceIdentifiers = []v1alpha1.ResourceIdentifierAssignment{{Prefix: "https://api.example.com/"}}
	})
	holder := start(t)
	claim := func(name string) *v1alpha1.ResourceServer {
		return create(t, &v1alpha1.ResourceServer{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.shop.Name, Name: name},
			Spec:       v1alpha1.ResourceServerSpec{Identifier: identifier},
		})
	}
	holds := func(rs *v1alpha1.ResourceServer) func() bool {
		return func() bool {
			iss, ok := holder.Load().ByURL(issuerURL)
			if !ok {
				return false
			}
			r, ok := iss.Resources.Get(identifier)
			return ok && r.UID == string(rs.UID)
		}
	}
	first := claim("first")
	eventually(t, "the first claim", holds(first))
	second := claim("second")
	remove(t, first)
	eventually(t, "that the second claim holds", holds(second))
}

func TestDamagedKeysKeepTheLastGoodOnes(t *testing.T) {
	w := newWorld(t, "keys")
	holder := start(t)
	jwks := func() string {
		iss, ok := holder.Load().ByURL(issuerURL)
		if !ok {
			return ""
		}
		return string(iss.Keys.JWKS())
	}
	before := jwks()
	if before == "" {
		t.Fatal("no issuer")
	}
	good := w.keys.Data[compile.KeysSecretKey]
	alice := create(t, &v1alpha1.LocalUser{ObjectMeta: metav1.ObjectMeta{Name: "keys-alice"}})
	subject := func() string {
		iss, _ := holder.Load().ByURL(issuerURL)
		u, ok := iss.User(alice.Name, string(alice.UID))
		if !ok {
			return ""
		}
		return u.Subject
	}
	eventually(t, "the user", func() bool { return subject() != "" })
	aliceBefore := subject()
	update(t, w.keys, func(s *corev1.Secret) { s.Data[compile.KeysSecretKey] = []byte("damaged") })
	id := compile.ClientID(w.storefront(t)) // seen after the damage was
	eventually(t, "the client", func() bool { return clientIn(holder, id) != nil })
	if got := jwks(); got != before {
		t.Errorf("keys after the damage: %q", got)
	}
	if got := subject(); got != aliceBefore {
		t.Errorf("the user's subject after the damage: %q", got) // tokens of a user who is gone are dead
	}
	update(t, w.keys, func(s *corev1.Secret) { s.Data[compile.KeysSecretKey] = newKeys(t) })
	eventually(t, "new keys", func() bool { return jwks() != before })
	update(t, w.keys, func(s *corev1.Secret) { s.Data[compile.KeysSecretKey] = good })
	eventually(t, "the old keys", func() bool { return jwks() == before })
}

func TestIssuerWithoutKeysOrRefusedIsNotServed(t *testing.T) {
	w := newWorld(t, "none")
	holder := start(t)
	rival := create(t, &v1alpha1.AuthorizationServer{
		ObjectMeta: metav1.ObjectMeta{Name: "keyless"},
		Spec:       v1alpha1.AuthorizationServerSpec{Issuer: "https://keyless.example.com"},
	})
	id := compile.ClientID(w.storefront(t))
	eventually(t, "the client", func() bool { return clientIn(holder, id) != nil })
	if _, ok := holder.Load().ByURL(rival.Spec.Issuer); ok {
		t.Error("an issuer without keys is served")
	}
	remove(t, w.issuer)
	eventually(t, "that the issuer is gone", func() bool { _, ok := holder.Load().ByURL(issuerURL); return !ok })
}

func TestUserFollowsObjectAndPasswordSecret(t *testing.T) {
	newWorld(t, "user")
	holder := start(t)
	hash := func() string {
		iss, ok := holder.Load().ByURL(issuerURL)
		if !ok {
			return ""
		}
		u, ok := iss.Users.Get("alice")
		if !ok {
			return ""
		}
		return u.PasswordHash
	}
	alice := create(t, &v1alpha1.LocalUser{
		ObjectMeta: metav1.ObjectMeta{Name: "alice"},
		Spec:       v1alpha1.LocalUserSpec{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: "alice"}},
	})
	secret := create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "alice"},
		Data:       map[string][]byte{compile.PasswordHashKey: []byte("$2a$first")},
	})
	eventually(t, "the password", func() bool { return hash() == "$2a$first" })
	update(t, secret, func(s *corev1.Secret) { s.Data[compile.PasswordHashKey] = []byte("$2a$second") })
	eventually(t, "the changed password", func() bool { return hash() == "$2a$second" })
	update(t, alice, func(u *v1alpha1.LocalUser) { u.Spec.Disabled = true })
	eventually(t, "that the user is disabled", func() bool { return hash() == "" })
}

func TestUserIsAsOldAsTheSpec(t *testing.T) {
	newWorld(t, "aged")
	alice := create(t, &v1alpha1.LocalUser{ObjectMeta: metav1.ObjectMeta{Name: "alice"}, Spec: v1alpha1.LocalUserSpec{Email: "alice@example.com"}})
	holder := start(t)
	profile := func() registry.Profile {
		if iss, ok := holder.Load().ByURL(issuerURL); ok {
			if u, ok := iss.Users.Get("alice"); ok {
				return u.Profile
			}
		}
		return registry.Profile{}
	}
	eventually(t, "the user", func() bool { return profile().UpdatedAt.Equal(alice.CreationTimestamp.Time) })

	// The API server notes whole seconds.
	eventually(t, "another second", func() bool { return time.Now().Unix() > alice.CreationTimestamp.Unix() })
	update(t, alice, func(u *v1alpha1.LocalUser) { u.Spec.Profile = &v1alpha1.UserProfile{Nickname: "Al"} })
	changed := alice.ManagedFields[0].Time.Time
	if !changed.After(alice.CreationTimestamp.Time) {
		t.Fatalf("managed fields: %+v", alice.ManagedFields)
	}
	eventually(t, "the change and its time", func() bool { return profile().Nickname == "Al" && profile().UpdatedAt.Equal(changed) })
}
