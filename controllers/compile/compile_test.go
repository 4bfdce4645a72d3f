package compile

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

func containsAll(s string, texts []string) bool {
	for _, t := range texts {
		if !strings.Contains(s, t) {
			return false
		}
	}
	return true
}

func TestIssuersMustNotOverlap(t *testing.T) {
	for name, c := range map[string]struct {
		spec   string
		reason string
	}{
		"another host":                         {`{issuer: "https://other.example.com"}`, ""},
		"another path beside the path-less":    {`{issuer: "https://login.example.com/team"}`, ""},
		"the same":                             {`{issuer: "https://login.example.com"}`, v1alpha1.ReasonIssuerConflict},
		"nested":                               {`{issuer: "https://apps.example.com/a/b"}`, v1alpha1.ReasonIssuerConflict},
		"around":                               {`{issuer: "https://apps.example.com"}`, ""},
		"a path that only begins alike":        {`{issuer: "https://apps.example.com/ab"}`, ""},
		"the same prefix for users":            {`{issuer: "https://x.example.com", kubernetes: {audiences: [a], usernamePrefix: "oauth:"}}`, v1alpha1.ReasonPrefixConflict},
		"the same prefix for groups":           {`{issuer: "https://x.example.com", kubernetes: {audiences: [a], groupsPrefix: "oauth:"}}`, v1alpha1.ReasonPrefixConflict},
		"prefixes of its own":                  {`{issuer: "https://x.example.com", kubernetes: {audiences: [a], usernamePrefix: "x:", groupsPrefix: "x:"}}`, ""},
		"no prefix: one derived from its name": {`{issuer: "https://x.example.com"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			m.addServer(t, "apps", `{issuer: "https://apps.example.com/a"}`)
			config, problems := AuthorizationServer(m, m.addServer(t, "new", c.spec))
			if c.reason == "" {
				if config == nil || len(problems) > 0 {
					t.Fatalf("refused: %v", problems)
				}
				return
			}
			if config != nil || !has(problems, c.reason) || !problems[0].Terminal {
				t.Fatalf("config %v, problems %v; want %s", config, problems, c.reason)
			}
		})
	}
}

func TestPrefixesAreNeverEmptyAndDiffer(t *testing.T) {
	m := newMemory(t)
	a, _ := AuthorizationServer(m, m.authorizationServers[0])
	b, _ := AuthorizationServer(m, m.addServer(t, "local", `{issuer: "http://localhost:1"}`))
	if a.UsernamePrefix != "oauth:" || b.UsernamePrefix != "oauth.local:" || a.GroupsPrefix == b.GroupsPrefix {
		t.Errorf("prefixes %q %q and %q %q", a.UsernamePrefix, a.GroupsPrefix, b.UsernamePrefix, b.GroupsPrefix)
	}
}

func TestIdentifierThatBelongsToAnotherNamespaceOrToKubeAPIServer(t *testing.T) {
	for name, c := range map[string]struct {
		namespace, name, identifier, reason string
	}{
		"its Service":                 {"shop", "orders", "https://orders.shop.svc", ""},
		"its Service, port and path":  {"shop", "orders", "https://orders.shop.svc:8443/v1", ""},
		"another name":                {"shop", "orders", "https://stock.shop.svc", v1alpha1.ReasonIdentifierNotPermitted},
		"another namespace":           {"web", "orders", "https://orders.shop.svc", v1alpha1.ReasonIdentifierNotPermitted},
		"a longer host":               {"shop", "orders", "https://orders.shop.svc.evil.example", v1alpha1.ReasonIdentifierNotPermitted},
		"assigned":                    {"shop", "orders", "https://api.example.com/shop/orders", ""},
		"assigned, the prefix itself": {"shop", "orders", "https://api.example.com/shop", ""},
		"assigned to others":          {"web", "orders", "https://api.example.com/shop/orders", v1alpha1.ReasonIdentifierNotPermitted},
		"a prefix cut short":          {"shop", "orders", "https://api.example.com/shopping", v1alpha1.ReasonIdentifierNotPermitted},
		"kube-apiserver's audience":   {"shop", "orders", "https://kubernetes.default.svc", v1alpha1.ReasonIdentifierNotPermitted},
		"the same with a slash":       {"shop", "orders", "https://kubernetes.default.svc/", v1alpha1.ReasonIdentifierNotPermitted},
		"kube-apiserver's, by name":   {"default", "kubernetes", "https://kubernetes.default.svc", v1alpha1.ReasonIdentifierNotPermitted},
		"kube-apiserver's, a path":    {"default", "kubernetes", "https://kubernetes.default.svc/api", v1alpha1.ReasonIdentifierNotPermitted},
		"an issuer":                   {"shop", "orders", "https://login.example.com", v1alpha1.ReasonIdentifierNotPermitted},
		"a namespace not allowed":     {"dark", "orders", "https://orders.dark.svc", v1alpha1.ReasonNamespaceNotAllowed},
		"a namespace that is unknown": {"gone", "orders", "https://orders.gone.svc", v1alpha1.ReasonNamespaceNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			m.namespaces["default"] = map[string]string{"oauth": "yes"}
			resources, problems := ResourceServer(m, m.addResource(t, c.namespace, c.name, `{identifier: "`+c.identifier+`"}`))
			if c.reason == "" && (resources["default"] == nil || len(problems) > 0) {
				t.Fatalf("refused: %v", problems)
			}
			if c.reason != "" && (len(resources) > 0 || !has(problems, c.reason)) {
				t.Fatalf("resources %v, problems %v; want %s", resources, problems, c.reason)
			}
		})
	}
}

// What stands for an issuer, or for kube-apiserver at any issuer, is nobody's to claim, whatever is assigned to the namespace.
func TestReservedIdentifiersAreNobodysToClaim(t *testing.T) {
	m := newMemory(t)
	everything := v1alpha1.ResourceIdentifierAssignment{NamespaceSelector: metav1.LabelSelector{}}
	as := m.authorizationServers[0]
	for _, prefix := range []string{"https://login.example.com/", "https://kube.example.com/"} {
		everything.Prefix = prefix
		as.Spec.ResourceIdentifiers = append(as.Spec.ResourceIdentifiers, everything)
	}
	as.Spec.Kubernetes = &v1alpha1.KubernetesAccess{Audiences: []string{"https://kube.example.com/"}}
	for _, identifier := range []string{"https://login.example.com", "https://login.example.com/", "https://kube.example.com", "https://kube.example.com/"} {
		resources, problems := ResourceServer(m, m.addResource(t, "shop", "orders", `{identifier: "`+identifier+`"}`))
		if len(resources) > 0 || !has(problems, v1alpha1.ReasonIdentifierNotPermitted) {
			t.Errorf("%s: %v, problems %v", identifier, resources, problems)
		}
	}
	if resources, problems := ResourceServer(m, m.addResource(t, "shop", "orders", `{identifier: "https://kube.example.com/api"}`)); len(resources) == 0 {
		t.Errorf("what is assigned and not reserved: %v", problems)
	}
}

// kube-apiserver's usual audience is nobody's to claim, even where no AuthorizationServer declares it.
func TestUndeclaredAudienceOfKubeAPIServer(t *testing.T) {
	m := newMemory(t)
	m.namespaces["default"] = map[string]string{"oauth": "yes"}
	for _, as := range m.authorizationServers {
		as.Spec.Kubernetes = nil
	}
	for _, identifier := range []string{"https://kubernetes.default.svc", "https://kubernetes.default.svc:443"} {
		resources, problems := ResourceServer(m, m.addResource(t, "default", "kubernetes", `{identifier: "`+identifier+`"}`))
		if len(resources) > 0 || !has(problems, v1alpha1.ReasonIdentifierNotPermitted, "kube-apiserver") {
			t.Errorf("%s: %v, problems %v", identifier, resources, problems)
		}
	}
}

// The API server accepts any operator in a label selector.
func TestSelectorThatIsInvalidIsTold(t *testing.T) {
	const bad = `{matchExpressions: [{key: team, operator: Is, values: [web]}]}`
	m := newMemory(t)
	as := m.addServer(t, "new", `{issuer: "https://new.example.com", allowedNamespaces: {selector: `+bad+`}, resourceIdentifiers: [{prefix: "https://x.example.com/", namespaceSelector: `+bad+`}]}`)
	if config, problems := AuthorizationServer(m, as); config == nil || len(problems) != 2 || !problems[0].Terminal || !has(problems, v1alpha1.ReasonInvalid, "allowedNamespaces") {
		t.Errorf("config %v, problems %v", config, problems)
	}
	rs := m.addResource(t, "shop", "orders", `{identifier: "https://orders.shop.svc", access: [{namespaceSelector: `+bad+`, clients: ["*"], scopes: ["*"]}]}`)
	if resources, problems := ResourceServer(m, rs); resources["default"] == nil || !has(problems, v1alpha1.ReasonInvalid, "spec.access[0]") {
		t.Errorf("resources %v, problems %v", resources, problems)
	}
}

func TestTwoClaimsOfOneIdentifier(t *testing.T) {
	m := newMemory(t)
	stranger := m.addResource(t, "web", "first", `{identifier: "https://api.example.com/shop/x"}`)
	first := m.addResource(t, "shop", "a", `{identifier: "https://api.example.com/shop/x"}`)
	second := m.addResource(t, "shop", "b", `{identifier: "https://api.example.com/shop/x"}`)
	if r, p := ResourceServer(m, stranger); len(r) > 0 {
		t.Errorf("the oldest claim counts although it is not permitted: %v", p)
	}
	if r, p := ResourceServer(m, first); r["default"] == nil {
		t.Errorf("the older permitted claim is refused: %v", p)
	}
	r, p := ResourceServer(m, second)
	if len(r) > 0 || !has(p, v1alpha1.ReasonIdentifierConflict, "shop/a", "older") {
		t.Errorf("the younger claim: %v %v", r, p)
	}
}

const storefront = `
type: Confidential
redirectURIs: [https://shop.example/callback]
grantTypes: [authorization_code]
scopes: [openid]
authentication: {clientSecret: {source: Generated, secretName: storefront-oauth}}
resources: [{namespace: shop, name: orders, scopes: [orders.read, orders.write]}]
`

func TestOwnerDecidesAboutAccess(t *testing.T) {
	const scopes = `scopes: [{name: orders.read, description: See}, {name: orders.write, description: Change}]`
	for name, c := range map[string]struct {
		namespace, access string
		want              []string
		reason            string
		message           []string
	}{
		"own namespace may ask for all": {"shop", "", []string{"orders.read", "orders.write"}, "", nil},
		"no rule": {"web", "", nil, v1alpha1.ReasonRefNotPermitted,
			[]string{"shop/orders", `spec.access: {"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"web"}},"clients":["storefront"],"scopes":["orders.read","orders.write"]}`}},
		"one scope": {"web", `[{namespaceSelector: {matchLabels: {team: web}}, clients: [storefront], scopes: [orders.read]}]`,
			[]string{"orders.read"}, v1alpha1.ReasonRefNotPermitted, []string{`"scopes":["orders.write"]`}},
		"all by *": {"web", `[{namespaceSelector: {}, clients: ["*"], scopes: ["*"]}]`,
			[]string{"orders.read", "orders.write"}, "", nil},
		"another client": {"web", `[{namespaceSelector: {}, clients: [other], scopes: ["*"]}]`, nil, v1alpha1.ReasonRefNotPermitted, nil},
		"other labels":   {"web", `[{namespaceSelector: {matchLabels: {team: x}}, clients: ["*"], scopes: ["*"]}]`, nil, v1alpha1.ReasonRefNotPermitted, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			text := `{identifier: "https://orders.shop.svc", ` + scopes
			if c.access != "" {
				text += ", access: " + c.access
			}
			m.addResource(t, "shop", "orders", text+"}")
			_, client, problems := OAuthClient(m, m.client(t, c.namespace, "storefront", storefront))
			if client == nil {
				t.Fatalf("refused as a whole: %v", problems)
			}
			var got []string
			if a, ok := client.AccessTo("https://orders.shop.svc"); ok {
				for _, s := range a.Scopes {
					got = append(got, s.Name)
				}
			}
			if strings.Join(got, " ") != strings.Join(c.want, " ") {
				t.Errorf("scopes %v, want %v", got, c.want)
			}
			if c.reason == "" && len(problems) > 0 || c.reason != "" && !has(problems, c.reason, c.message...) {
				t.Errorf("problems %v, want %s %v", problems, c.reason, c.message)
			}
		})
	}
}

func TestReferencesThatDoNotResolve(t *testing.T) {
	m := newMemory(t)
	c := m.client(t, "shop", "storefront", storefront)
	if _, client, p := OAuthClient(m, c); client == nil || !has(p, v1alpha1.ReasonRefNotFound, "shop/orders") {
		t.Errorf("missing ResourceServer: %v %v", client, p)
	}
	m.addResource(t, "shop", "orders", `{identifier: "https://orders.shop.svc", scopes: [{name: orders.read, description: See}]}`)
	if _, _, p := OAuthClient(m, c); !has(p, v1alpha1.ReasonRefNotFound, "orders.write") {
		t.Errorf("missing scope: %v", p)
	}
	m.resourceServers[0].Spec.AuthorizationServerNames = []string{"other"}
	if _, _, p := OAuthClient(m, c); !has(p, v1alpha1.ReasonRefNotAccepted, "default") {
		t.Errorf("a ResourceServer of another issuer: %v", p)
	}
	c.Spec.AuthorizationServerName = "absent"
	if _, client, p := OAuthClient(m, c); client != nil || !has(p, v1alpha1.ReasonAuthorizationServerNotFound, "absent") {
		t.Errorf("missing AuthorizationServer: %v %v", client, p)
	}
}

func TestKubernetesTokensOnlyForListedClients(t *testing.T) {
	const public = `{type: Public, redirectURIs: ["http://127.0.0.1/cb"], grantTypes: [authorization_code]}`
	m := newMemory(t)
	for _, c := range []struct {
		namespace, name string
		want            bool
	}{{"web", "kubectl", true}, {"shop", "kubectl", false}, {"web", "other", false}} {
		_, client, p := OAuthClient(m, m.client(t, c.namespace, c.name, public))
		if client == nil {
			t.Fatal(p)
		}
		if _, ok := client.AccessTo("https://kubernetes.default.svc"); ok != c.want {
			t.Errorf("%s/%s may ask for kube-apiserver: %t", c.namespace, c.name, ok)
		}
	}
}

func TestDisabledUserIsNowhere(t *testing.T) {
	m := newMemory(t)
	if users, problems := LocalUser(m, m.addUser(t, "alice", `{disabled: true}`)); len(users) > 0 || len(problems) > 0 {
		t.Errorf("%v %v", users, problems)
	}
}

func TestDisabledClientIsRefused(t *testing.T) {
	m := newMemory(t)
	c := m.client(t, "shop", "storefront", basic+"disabled: true\n")
	if _, client, p := OAuthClient(m, c); client != nil || len(p) > 0 {
		t.Errorf("%v %v", client, p)
	}
}

func TestStatusTamperedWithGivesNoSecret(t *testing.T) {
	good := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	got := secrets([]v1alpha1.ClientSecretStatus{
		{ID: "a", Digest: "not base64!"}, {ID: "b", Digest: "c2hvcnQ"}, {ID: "c", Digest: good},
		{ID: "d", Digest: good, ExpiresAt: &metav1.Time{Time: time.Unix(5, 0)}},
	}, nil)
	if len(got) != 2 || got[0].ID != "c" || got[1].ExpiresAt.Unix() != 5 {
		t.Errorf("%v", got)
	}
}

func TestLocalUser(t *testing.T) {
	m := newMemory(t)
	m.secrets["pw"] = &corev1.Secret{Data: map[string][]byte{PasswordHashKey: []byte("$argon2id$v=19$...\n")}}
	m.secrets["bad"] = &corev1.Secret{Data: map[string][]byte{PasswordHashKey: []byte("wonderland")}}
	alice := m.addUser(t, "alice", `{passwordSecretRef: {name: pw}, groups: [a]}`)
	users, problems := LocalUser(m, alice)
	u := users["default"]
	if u == nil || len(problems) > 0 || u.PasswordHash == "" || strings.HasSuffix(u.PasswordHash, "\n") || u.Subject == "" || u.Subject == "alice" {
		t.Fatalf("%+v %v", u, problems)
	}
	for name, c := range map[string]struct{ spec, reason string }{
		"no Secret yet":          {`{passwordSecretRef: {name: later}}`, v1alpha1.ReasonSecretNotFound},
		"a password, not a hash": {`{passwordSecretRef: {name: bad}}`, v1alpha1.ReasonSecretInvalid},
		"the subject of another": {`{subject: alice}`, v1alpha1.ReasonInvalid},
		"an issuer there is not": {`{authorizationServerNames: [x]}`, v1alpha1.ReasonAuthorizationServerNotFound},
	} {
		users, problems := LocalUser(m, m.addUser(t, "user", c.spec))
		if !has(problems, c.reason) {
			t.Errorf("%s: %v, want %s", name, problems, c.reason)
		}
		if users["default"] != nil && users["default"].PasswordHash != "" {
			t.Errorf("%s: can sign in", name)
		}
		m.users = m.users[:1]
	}
}
