package authenticator

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/controllers/authentication"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/token"
)

// proven is a connection on which kube-apiserver has shown its client certificate.
func proven() *tls.ConnectionState {
	return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
}

func TestConfigurationIsOneThatKubeAPIServerTakes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 64, 65} {
		var issuers []*registry.Config
		for i := range n {
			url, err := registry.ParseIssuerURL(fmt.Sprintf("https://login.example.com/%d", i))
			if err != nil {
				t.Fatal(err)
			}
			issuers = append(issuers, &registry.Config{
				IssuerURL: url, Name: fmt.Sprintf("issuer.%d", i), UsernamePrefix: fmt.Sprintf("oauth.%d:", i), GroupsPrefix: "oauth:", KubernetesAudiences: []string{audience, otherAudience}[:1+i%2],
			})
		}
		for what, at := range map[string]authentication.At{"at the review address": {Address: "10.96.0.20:9443"}, "by IPv6": {Address: "[fd00::1]:9443"}, "at their own": {}} {
			text, err := authentication.Configuration(issuers, at)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(decode(t, text).JWT); got != min(n, 64) {
				t.Errorf("%d issuers %s: %d are in the configuration", n, what, got)
			}
		}
	}
}

// Whether kube-apiserver asks or verifies itself: it says the same of each token, and names whose it is alike.
func TestConfigurationDecidesAsATokenReview(t *testing.T) {
	s := newSite(t)
	change := func(a *token.Access, change func(*token.Access)) *token.Access { change(a); return a }
	exchanged := s.alices()
	exchanged.ClientID, exchanged.ClientUID, exchanged.Scopes = registrytest.Nightly, registrytest.NightlyUID, []string{oauth.ScopeKubernetes}
	exchanged.Via = []token.Shown{{Party: token.Party{ID: registrytest.PrintShop, UID: registrytest.PrintShopUID}, IssuedAt: s.now.Unix()}}
	u, _ := s.iss.User(registrytest.Alice, registrytest.AliceUID)
	s.named(exchanged, u)
	good := s.sign(s.alices(), keys.ES256)
	for name, test := range map[string]struct {
		raw  string
		want string // username, "" for nobody
	}{
		"a user's":                {good, "oauth:alice"},
		"a client's own":          {s.sign(s.nightlys(), keys.ES256), "oauth:client:demo:nightly"},
		"got by exchange":         {s.sign(exchanged, keys.ES256), "oauth:alice"},
		"with RS256":              {s.sign(s.alices(), keys.RS256), "oauth:alice"},
		"with PS256":              {s.sign(s.alices(), keys.PS256), "oauth:alice"},
		"for userinfo as well":    {s.sign(change(s.alices(), func(a *token.Access) { a.Audience = []string{audience, s.iss.URL} }), keys.ES256), "oauth:alice"},
		"for the second audience": {s.sign(change(s.alices(), func(a *token.Access) { a.Audience = []string{otherAudience} }), keys.ES256), "oauth:alice"},

		"for an API":         {s.sign(change(s.alices(), func(a *token.Access) { a.Audience, a.Kubernetes = []string{registrytest.Photos}, nil }), keys.ES256), ""},
		"for an API, naming": {s.sign(change(s.alices(), func(a *token.Access) { a.Audience = []string{registrytest.Photos} }), keys.ES256), ""},
		"for userinfo alone": {s.sign(change(s.alices(), func(a *token.Access) { a.Audience = []string{s.iss.URL} }), keys.ES256), ""},
		"expired": {s.sign(change(s.alices(), func(a *token.Access) {
			a.IssuedAt, a.ExpiresAt = s.now.Add(-10*time.Minute), s.now.Add(-5*time.Minute)
		}), keys.ES256), ""},
		"of another issuer":         {s.sign(change(s.alices(), func(a *token.Access) { a.Issuer = "https://login.example.com" }), keys.ES256), ""},
		"with another's payload":    {tampered(good, s.sign(s.nightlys(), keys.ES256)), ""},
		"with its signature cut":    {good[:len(good)-4], ""},
		"an ID token":               {s.idToken(registrytest.PrintShop), ""},
		"an ID token, audience too": {s.idToken(audience), ""},
		"no token":                  {"abc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			verified, reviewed := s.verified(test.raw), s.reviewed(test.raw)
			if verified.Authenticated != (test.want != "") || verified.User.Username != test.want {
				t.Errorf("verified: %+v, want %q", verified.User, test.want)
			}
			if !reflect.DeepEqual(verified, reviewed) {
				t.Errorf("verified %+v\nreviewed %+v", verified, reviewed)
			}
		})
	}
}

// idToken is signed by the same key, and has what ID tokens have.
func (s *site) idToken(audience string) string {
	s.t.Helper()
	u, _ := s.iss.User(registrytest.Alice, registrytest.AliceUID)
	id := &token.Identity{
		Issuer: s.iss.URL, Subject: u.Subject, ClientID: audience, AccessToken: "a", IssuedAt: s.now, ExpiresAt: s.now.Add(5 * time.Minute), AuthTime: s.now,
		User: token.ClaimsOf(u, []string{oauth.ScopeProfile, oauth.ScopeGroups}, nil),
	}
	raw, err := id.Sign(s.iss.Keys, keys.RS256, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	return raw
}

// Where a token does not tell enough to decide without asking, it is refused: these are taken by a TokenReview alone.
func TestConfigurationRefusesWhatATokenDoesNotTell(t *testing.T) {
	s := newSite(t)
	for name, change := range map[string]func(*token.Access){
		"that lives for longer": func(a *token.Access) { a.ExpiresAt = a.IssuedAt.Add(5*time.Minute + time.Second) },
		"that says no names":    func(a *token.Access) { a.Kubernetes = nil },
		"without a scope":       func(a *token.Access) { a.Scopes = nil },
	} {
		a := s.alices()
		change(a)
		if got := s.verified(s.sign(a, keys.ES256)); got.Authenticated {
			t.Errorf("a token %s is %s", name, got.User.Username)
		}
		if got := s.reviewed(s.sign(a, keys.ES256)); !got.Authenticated {
			t.Errorf("a token %s is refused by a TokenReview", name)
		}
	}
	if raw := s.sign(s.alices(), keys.EdDSA); s.verified(raw).Authenticated || !s.reviewed(raw).Authenticated {
		t.Error("a token with EdDSA")
	}
}

// security.md: names that mean something to Kubernetes itself.
func TestConfigurationRefusesSystemNames(t *testing.T) {
	s := newSite(t)
	for name, change := range map[string]func(*registry.Config){
		"users":             func(c *registry.Config) { c.UsernamePrefix = "system:" },
		"users, capital":    func(c *registry.Config) { c.UsernamePrefix = "System:" },
		"groups":            func(c *registry.Config) { c.GroupsPrefix = "system:" },
		"groups, no prefix": func(c *registry.Config) { c.GroupsPrefix = "" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			config := *s.iss.Config
			change(&config)
			s.iss.Config = &config
			s.verifying = s.authenticator(s.at)
			a := s.alices()
			a.Kubernetes.Groups = []string{"system:masters"}
			if got := s.verified(s.sign(a, keys.ES256)); got.Authenticated {
				t.Errorf("it is %+v", got.User)
			}
		})
	}
	a := s.alices()
	a.Kubernetes.Groups = []string{"system:masters"}
	if got := s.verified(s.sign(a, keys.ES256)); !got.Authenticated || got.User.Groups[0] != "oauth:system:masters" {
		t.Errorf("behind a prefix it is a name like any other: %+v", got)
	}
}
