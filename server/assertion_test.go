package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/clientauth/assertiontest"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/outbound"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// assertingSite is a server whose print shop authenticates by private_key_jwt.
type assertingSite struct {
	*site
	keys *keys.Set
}

func newAssertingSite(t *testing.T, change func(*server.Config)) *assertingSite {
	t.Helper()
	s := &assertingSite{site: &site{servertest.StartWith(t, change), t}}
	s.keys = registrytest.Keys(t, s.Clock.Now())
	set, err := keys.ParsePublicSet(s.keys.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	s.declare(&registry.Assertion{Keys: set})
	return s
}

func (s *assertingSite) declare(a *registry.Assertion) {
	c := registrytest.Client(s.t, s.Issuer(""), registrytest.PrintShop)
	c.Assertion, c.Secrets = a, nil
	s.Publish(registrytest.WithClient(s.Issuer(""), c))
}

func (s *assertingSite) key(alg keys.Algorithm) *keys.SigningKey {
	s.t.Helper()
	k, err := s.keys.Signer(alg, s.Clock.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (s *assertingSite) claims() map[string]any {
	return assertiontest.Claims(registrytest.PrintShop, s.URL, s.Clock.Now())
}

// present shows an assertion at an endpoint. Each of them answers 401 unless the client has proven itself.
func (s *assertingSite) present(path, assertion string, more ...string) reply {
	s.t.Helper()
	form := url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		"token": {"unknown"}, "grant_type": {"authorization_code"}, "code": {"unknown"}, "redirect_uri": {"x"}, "code_verifier": {servertest.Verifier},
	}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	r := s.newRequest(http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.send(r)
}

func (s *assertingSite) wantRefused(what string, p reply) {
	s.t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(p.body), &body); err != nil {
		s.t.Fatal(err)
	}
	if p.StatusCode != http.StatusUnauthorized || body["error"] != "invalid_client" || body["error_description"] != "client authentication failed" || p.Header.Get("WWW-Authenticate") != "" {
		s.t.Errorf("%s: %s %s", what, p.Status, p.body)
	}
}

func TestPrivateKeyJWT(t *testing.T) {
	s := newAssertingSite(t, func(*server.Config) {})
	for path, want := range map[string]int{"/token": http.StatusBadRequest, "/revoke": http.StatusOK, "/introspect": http.StatusOK} {
		for _, alg := range keys.Algorithms() {
			if p := s.present(path, assertiontest.Sign(t, s.key(alg), nil, s.claims())); p.StatusCode != want {
				t.Errorf("%s, %s: %s %s", path, alg, p.Status, p.body)
			}
		}
		if p := s.present(path, assertiontest.Sign(t, s.key(keys.EdDSA), map[string]any{"alg": "Ed25519"}, s.claims())); p.StatusCode != want {
			t.Errorf("%s, Ed25519 (RFC 9864): %s %s", path, p.Status, p.body)
		}
		hour := s.claims()
		hour["exp"] = s.Clock.Now().Add(time.Hour).Unix()
		if p := s.present(path, assertiontest.Sign(t, s.key(keys.ES256), nil, hour)); p.StatusCode != want {
			t.Errorf("%s, good for an hour: %s %s", path, p.Status, p.body)
		}
		if p := s.present(path, assertiontest.Sign(t, s.key(keys.ES256), nil, s.claims()), "client_id", registrytest.PrintShop); p.StatusCode != want {
			t.Errorf("%s, with client_id: %s %s", path, p.Status, p.body)
		}
	}
	if !strings.Contains(s.Log.String(), `"client_auth":"private_key_jwt"`) {
		t.Error("the audit does not say by which method")
	}
}

// Security: client assertion: bad aud, no or far exp, iss≠sub, HS256 with the public key, `none`, embedded jwk/jku/x5u, unknown crit;
// kid injection: path, another client's key, empty, huge → 401 invalid_client, and one answer for all.
func TestClientAssertionAttacks(t *testing.T) {
	s := newAssertingSite(t, func(*server.Config) {})
	sign := func(header map[string]any, change map[string]any) string {
		claims := s.claims()
		for name, value := range change {
			claims[name] = value
		}
		return assertiontest.Sign(t, s.key(keys.ES256), header, claims)
	}
	foreign, err := registrytest.Keys(t, s.Clock.Now()).Signer(keys.ES256, s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	own := s.key(keys.ES256).KID
	for name, assertion := range map[string]string{
		"bad aud":                       sign(nil, map[string]any{"aud": "https://other.example"}),
		"aud the token endpoint":        sign(nil, map[string]any{"aud": s.URL + "/token"}),
		"aud of another as well":        sign(nil, map[string]any{"aud": []string{s.URL, "https://other.example"}}),
		"no exp":                        sign(nil, map[string]any{"exp": nil}),
		"exp over":                      sign(nil, map[string]any{"exp": s.Clock.Now().Add(-time.Second).Unix()}),
		"far exp":                       sign(nil, map[string]any{"exp": s.Clock.Now().Add(time.Hour + time.Minute).Unix()}),
		"no jti":                        sign(nil, map[string]any{"jti": nil}),
		"iss≠sub":                       sign(nil, map[string]any{"iss": registrytest.Native}),
		"unknown client":                sign(nil, map[string]any{"iss": "demo.nobody", "sub": "demo.nobody"}),
		"HS256 with the public key":     assertiontest.SignHMAC(t, s.keys.JWKS(), map[string]any{"alg": "HS256", "kid": own}, s.claims()),
		"none":                          assertiontest.Unsigned(t, map[string]any{"alg": "none", "kid": own}, s.claims()),
		"embedded jwk":                  assertiontest.Sign(t, foreign, map[string]any{"jwk": map[string]any{"kty": "EC"}}, s.claims()),
		"embedded jku":                  sign(map[string]any{"jku": "https://attacker.example"}, nil),
		"embedded x5u":                  sign(map[string]any{"x5u": "https://attacker.example"}, nil),
		"unknown crit":                  sign(map[string]any{"crit": []string{"exp"}}, nil),
		"another type":                  sign(map[string]any{"typ": "at+jwt"}, nil),
		"kid injection: path":           sign(map[string]any{"kid": "../../../dev/null"}, nil),
		"kid injection: empty":          sign(map[string]any{"kid": ""}, nil),
		"kid injection: huge":           sign(map[string]any{"kid": strings.Repeat("k", 4000)}, nil),
		"kid injection: another's key":  assertiontest.Sign(t, foreign, nil, s.claims()),
		"kid injection: the client's":   assertiontest.Sign(t, foreign, map[string]any{"kid": own}, s.claims()),
		"kid injection: the issuer's":   assertiontest.Sign(t, s.issuersKey(), nil, s.claims()),
		"an ID token of the issuer's":   s.signedByIssuer(map[string]any{"typ": "JWT"}),
		"a client_secret_jwt assertion": assertiontest.SignHMAC(t, []byte(registrytest.PrintShopSecret), map[string]any{"alg": "HS256"}, s.claims()),
	} {
		for _, path := range []string{"/token", "/revoke", "/introspect"} {
			s.wantRefused(name+" at "+path, s.present(path, assertion))
		}
	}
	s.wantRefused("client_id of another", s.present("/token", sign(nil, nil), "client_id", registrytest.Native))
	if p := s.present("/token", sign(nil, nil), "client_secret", "x", "client_id", registrytest.PrintShop); p.StatusCode != http.StatusBadRequest || !strings.Contains(p.body, "invalid_request") {
		t.Errorf("two methods: %s %s", p.Status, p.body)
	}
}

func (s *assertingSite) issuersKey() *keys.SigningKey {
	s.t.Helper()
	k, err := s.Issuer("").Keys.Signer(keys.ES256, s.Clock.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (s *assertingSite) signedByIssuer(header map[string]any) string {
	s.t.Helper()
	return assertiontest.Sign(s.t, s.issuersKey(), header, s.claims())
}

// Security: client assertion: jti replay, at the same endpoint and at any other.
func TestClientAssertionReplay(t *testing.T) {
	s := newAssertingSite(t, func(*server.Config) {})
	assertion := assertiontest.Sign(t, s.key(keys.ES256), nil, s.claims())
	if p := s.present("/revoke", assertion); p.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", p.Status, p.body)
	}
	for _, path := range []string{"/revoke", "/token", "/introspect"} {
		s.wantRefused("replay at "+path, s.present(path, assertion))
	}
	if strings.Contains(s.Log.String(), assertion) {
		t.Error("the log holds the assertion")
	}
}

// Security: SSRF through jwks_uri: nothing is connected to that is not public or allowed, and the answer is that to any bad assertion.
func TestSSRFThroughJWKSURI(t *testing.T) {
	var connections atomic.Int64
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		connections.Add(1)
		_, _ = io.WriteString(w, `{"internal":"detail"}`)
	}))
	t.Cleanup(inner.Close)
	strict := newAssertingSite(t, func(*server.Config) {})
	allowed := newAssertingSite(t, func(c *server.Config) {
		c.Outbound = outbound.New(outbound.Config{AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	})
	for name, uri := range map[string]string{
		"loopback": inner.URL, "localhost": strings.Replace(inner.URL, "127.0.0.1", "localhost", 1), "metadata": "http://169.254.169.254/latest/meta-data",
		"mapped": strings.Replace(inner.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1), "private": "https://10.0.0.1/jwks", "file": "file:///etc/passwd",
	} {
		strict.declare(&registry.Assertion{JWKSURI: uri})
		strict.wantRefused(name, strict.present("/token", assertiontest.Sign(t, strict.key(keys.ES256), nil, strict.claims())))
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
	allowed.declare(&registry.Assertion{JWKSURI: inner.URL})
	allowed.wantRefused("what is there is no JWK Set", allowed.present("/token", assertiontest.Sign(t, allowed.key(keys.ES256), nil, allowed.claims())))
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections where it is allowed", n)
	}
}

// Two secrets are valid while one replaces the other, and no longer.
func TestTwoSecretsDuringOverlap(t *testing.T) {
	s := newSite(t)
	iss := s.Issuer("")
	overlap := s.Clock.Now().Add(time.Hour).Truncate(time.Second)
	c := registrytest.Client(t, iss, registrytest.PrintShop)
	c.Secrets = []registry.Secret{
		{ID: "new", Digest: iss.Keys.ClientDigest(c.UID, "new", time.Time{}, "new-secret")},
		{ID: "old", ExpiresAt: overlap, Digest: iss.Keys.ClientDigest(c.UID, "old", overlap, "old-secret")},
	}
	s.Publish(registrytest.WithClient(iss, c))
	check := func(secret string, want int) {
		t.Helper()
		r := s.newRequest(http.MethodPost, s.URL+"/revoke", strings.NewReader("token=unknown"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(registrytest.PrintShop, secret)
		if p := s.send(r); p.StatusCode != want {
			t.Errorf("%s: %s %s", secret, p.Status, p.body)
		}
	}
	check("new-secret", http.StatusOK)
	check("old-secret", http.StatusOK)
	check("other-secret", http.StatusUnauthorized)
	s.Clock.Advance(time.Hour)
	check("new-secret", http.StatusOK)
	check("old-secret", http.StatusUnauthorized)
}
