package clientauth

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth/assertiontest"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

const issuerURL = "https://login.example.com/tenant"

// asserting is an issuer whose print shop authenticates by assertions, with the print shop's keys.
type asserting struct {
	t    testing.TB
	iss  *registry.Issuer
	keys *keys.Set
	auth *Authenticator
	now  time.Time
}

func newAsserting(t testing.TB) *asserting {
	t.Helper()
	a := &asserting{t: t, iss: registrytest.Issuer(t, issuerURL, testNow()), keys: registrytest.Keys(t, testNow()), auth: New(Config{}), now: testNow()}
	a.declare(&registry.Assertion{Keys: public(t, a.keys)})
	return a
}

func (a *asserting) declare(assertion *registry.Assertion) {
	c := registrytest.Client(a.t, a.iss, id)
	c.Assertion, c.Secrets = assertion, nil
	a.iss = registrytest.WithClient(a.iss, c)
}

// declareAccounts makes the print shop a client that is known by its ServiceAccounts.
func (a *asserting) declareAccounts(names ...string) {
	c := registrytest.Client(a.t, a.iss, id)
	c.Assertion, c.Secrets, c.ServiceAccounts = nil, nil, names
	a.iss = registrytest.WithClient(a.iss, c)
}

func public(t testing.TB, set *keys.Set) *keys.PublicSet {
	t.Helper()
	p, err := keys.ParsePublicSet(set.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (a *asserting) key(alg keys.Algorithm) *keys.SigningKey {
	a.t.Helper()
	k, err := a.keys.Signer(alg, a.now)
	if err != nil {
		a.t.Fatal(err)
	}
	return k
}

func (a *asserting) claims() map[string]any { return assertiontest.Claims(id, issuerURL, a.now) }

// sign signs a good assertion after the changes.
func (a *asserting) sign(header map[string]any, change func(claims map[string]any)) string {
	claims := a.claims()
	if change != nil {
		change(claims)
	}
	return assertiontest.Sign(a.t, a.key(keys.ES256), header, claims)
}

// present shows an assertion at an endpoint.
func (a *asserting) present(path, assertion string, more ...string) (Caller, error) {
	form := url.Values{"client_assertion_type": {oauth.AssertionTypeJWTBearer}, "client_assertion": {assertion}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, issuerURL+path, nil)
	return a.auth.Authenticate(r, form, a.iss, a.now)
}

func (a *asserting) wantRefused(name, assertion string, more ...string) {
	a.t.Helper()
	_, err := a.present("/token", assertion, more...)
	if e := oauth.AsError(err); err == nil || e.Code != oauth.InvalidClient || e.Description != errFailed().Description {
		a.t.Errorf("%s: %v", name, err)
	}
}

func TestAssertion(t *testing.T) {
	a := newAsserting(t)
	for _, alg := range keys.Algorithms() {
		for name, header := range map[string]map[string]any{
			"as it is":          nil,
			"no kid":            {"kid": nil},
			"typ JWT":           {"typ": "JWT"},
			"typ of assertions": {"typ": "client-authentication+jwt"},
			"typ in full":       {"typ": "application/jwt"},
			"x5t":               {"x5t": "dGh1bWI"},
		} {
			caller, err := a.present("/token", assertiontest.Sign(t, a.key(alg), header, a.claims()))
			if err != nil || caller.Client.ID != id || caller.Method != oauth.AuthMethodPrivateKeyJWT {
				t.Errorf("%s, %s: %+v %v", alg, name, caller, err)
			}
		}
	}
	for name, change := range map[string]func(map[string]any){
		"aud in a list":           func(c map[string]any) { c["aud"] = []string{issuerURL} },
		"no iat":                  func(c map[string]any) { delete(c, "iat") },
		"nbf":                     func(c map[string]any) { c["nbf"] = a.now.Unix() },
		"a clock that is ahead":   func(c map[string]any) { c["iat"], c["nbf"] = a.now.Unix()+10, a.now.Unix()+10 },
		"exp as far as it may be": func(c map[string]any) { c["exp"] = a.now.Add(10 * time.Minute).Unix() },
		"other claims":            func(c map[string]any) { c["scope"] = "x" },
	} {
		if _, err := a.present("/token", a.sign(nil, change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.present("/token", a.sign(nil, nil), "client_id", id); err != nil {
		t.Errorf("client_id in the body: %v", err)
	}
}

// Security: client assertion: no or far exp, bad aud, iss≠sub, no jti.
func TestAssertionClaims(t *testing.T) {
	a := newAsserting(t)
	at := func(d time.Duration) int64 { return a.now.Add(d).Unix() }
	for name, change := range map[string]func(c map[string]any){
		"no exp":                     func(c map[string]any) { delete(c, "exp") },
		"exp over":                   func(c map[string]any) { c["exp"] = at(0) },
		"exp just over":              func(c map[string]any) { c["exp"] = at(-time.Second) },
		"exp far":                    func(c map[string]any) { c["exp"] = at(time.Hour + time.Minute) },
		"exp very far":               func(c map[string]any) { c["exp"] = 1e18 },
		"exp beyond numbers":         func(c map[string]any) { c["exp"] = 1e300 },
		"exp negative":               func(c map[string]any) { c["exp"] = -1 },
		"exp a word":                 func(c map[string]any) { c["exp"] = "tomorrow" },
		"iat in the future":          func(c map[string]any) { c["iat"] = at(time.Minute) },
		"nbf in the future":          func(c map[string]any) { c["nbf"] = at(time.Minute) },
		"no jti":                     func(c map[string]any) { delete(c, "jti") },
		"jti empty":                  func(c map[string]any) { c["jti"] = "" },
		"jti huge":                   func(c map[string]any) { c["jti"] = strings.Repeat("j", 513) },
		"jti a number":               func(c map[string]any) { c["jti"] = 1 },
		"iss≠sub: iss of another":    func(c map[string]any) { c["iss"] = registrytest.Native },
		"iss≠sub: sub of another":    func(c map[string]any) { c["sub"] = registrytest.Native },
		"no iss":                     func(c map[string]any) { delete(c, "iss") },
		"no sub":                     func(c map[string]any) { delete(c, "sub") },
		"neither":                    func(c map[string]any) { delete(c, "sub"); delete(c, "iss") },
		"no aud":                     func(c map[string]any) { delete(c, "aud") },
		"aud empty":                  func(c map[string]any) { c["aud"] = []string{} },
		"aud null":                   func(c map[string]any) { c["aud"] = nil },
		"bad aud":                    func(c map[string]any) { c["aud"] = "https://other.example" },
		"aud with a slash":           func(c map[string]any) { c["aud"] = issuerURL + "/" },
		"aud of another as well":     func(c map[string]any) { c["aud"] = []string{issuerURL, "https://other.example"} },
		"aud the token endpoint":     func(c map[string]any) { c["aud"] = issuerURL + "/token" },
		"aud the token endpoint too": func(c map[string]any) { c["aud"] = []string{issuerURL, issuerURL + "/token"} },
		"unknown client":             func(c map[string]any) { c["iss"], c["sub"] = "demo.nobody", "demo.nobody" },
		"public client":              func(c map[string]any) { c["iss"], c["sub"] = registrytest.Native, registrytest.Native },
	} {
		a.wantRefused(name, a.sign(nil, change))
	}
	a.wantRefused("client_id of another in the body", a.sign(nil, nil), "client_id", registrytest.Native)
	if _, err := a.present("/token", a.sign(nil, nil), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"); err == nil {
		t.Error("another type of assertion was taken")
	}
	if _, err := a.present("/token", "", "client_assertion", ""); err == nil {
		t.Error("no assertion was taken for one")
	}
}

// The switch for clients that name the endpoint (OpenID Connect Core section 9).
func TestAssertionTokenEndpointAudience(t *testing.T) {
	a := newAsserting(t)
	a.declare(&registry.Assertion{Keys: public(t, a.keys), TokenEndpointAudience: true})
	for _, test := range []struct {
		path string
		aud  any
		want bool
	}{
		{"/token", issuerURL, true},
		{"/token", issuerURL + "/token", true},
		{"/token", []string{issuerURL, issuerURL + "/token"}, true},
		{"/introspect", issuerURL + "/introspect", true},
		{"/introspect", issuerURL + "/token", true},
		{"/token", issuerURL + "/introspect", false},
		{"/token", []string{issuerURL + "/token", "https://other.example"}, false},
		{"/token", "https://login.example.com/token", false},
	} {
		_, err := a.present(test.path, a.sign(nil, func(c map[string]any) { c["aud"] = test.aud }))
		if (err == nil) != test.want {
			t.Errorf("%v at %s: %v", test.aud, test.path, err)
		}
	}
}

// Security: client assertion: `none`, HS256 with the public key, unknown crit, embedded jwk/jku/x5u, other types; kid injection: path,
// empty, huge.
func TestAssertionHeader(t *testing.T) {
	a := newAsserting(t)
	var jwks struct{ Keys []map[string]any }
	if err := json.Unmarshal(a.keys.JWKS(), &jwks); err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]map[string]any{
		"unknown crit":            {"crit": []string{"exp"}},
		"crit empty":              {"crit": []string{}},
		"embedded jwk":            {"jwk": jwks.Keys[0]},
		"embedded jku":            {"jku": "https://attacker.example/jwks"},
		"embedded x5u":            {"x5u": "https://attacker.example/x5u"},
		"typ of an access token":  {"typ": "at+jwt"},
		"typ of a logout token":   {"typ": "logout+jwt"},
		"typ empty":               {"typ": ""},
		"typ a number":            {"typ": 1},
		"alg of another key":      {"alg": "RS256"},
		"alg in other case":       {"alg": "es256"},
		"alg ES384":               {"alg": "ES384"},
		"alg absent":              {"alg": nil},
		"alg HS256":               {"alg": "HS256"},
		"kid injection: path":     {"kid": "../../../../dev/null"},
		"kid injection: SQL":      {"kid": "x' UNION SELECT 'key"},
		"kid injection: empty":    {"kid": ""},
		"kid injection: huge":     {"kid": strings.Repeat("k", 5000)},
		"kid injection: a number": {"kid": 7},
		"kid injection: null":     {"kid": json.RawMessage("null")},
	} {
		a.wantRefused(name, a.sign(header, nil))
	}
	for _, none := range []string{"none", "None", "NONE", ""} {
		a.wantRefused("none", assertiontest.Unsigned(t, map[string]any{"alg": none}, a.claims()))
	}
	for _, alg := range []keys.Algorithm{keys.ES256, keys.RS256} {
		key := a.key(alg)
		der, err := x509.MarshalPKIXPublicKey(key.Private.Public())
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), {}, a.keys.JWKS()} {
			a.wantRefused("HS256 with the public key", assertiontest.SignHMAC(t, secret, map[string]any{"alg": "HS256", "kid": key.KID}, a.claims()))
		}
	}
}

// Security: kid injection: another client's key, or the issuer's own.
func TestAssertionForeignKey(t *testing.T) {
	a := newAsserting(t)
	other := registrytest.Keys(t, testNow())
	for name, set := range map[string]*keys.Set{"another client's": other, "the issuer's": a.iss.Keys} {
		foreign, err := set.Signer(keys.ES256, a.now)
		if err != nil {
			t.Fatal(err)
		}
		for what, kid := range map[string]any{"its kid": foreign.KID, "no kid": nil, "the client's kid": a.key(keys.ES256).KID} {
			a.wantRefused(name+" key, "+what, assertiontest.Sign(t, foreign, map[string]any{"kid": kid}, a.claims()))
		}
	}
}

func TestAssertionSerialization(t *testing.T) {
	a := newAsserting(t)
	good := a.sign(nil, nil)
	parts := strings.Split(good, ".")
	for name, raw := range map[string]string{
		"no JWT": "x", "two parts": parts[0] + "." + parts[1], "four parts": good + ".", "truncated": good[:len(good)-2], "padded": good + "=",
		"line break": parts[0] + "." + parts[1] + ".\r\n" + parts[2], "no signature": parts[0] + "." + parts[1] + ".",
		"signature of another": parts[0] + "." + parts[1] + "." + strings.Split(a.sign(nil, nil), ".")[2], "huge": good + strings.Repeat("A", 8192),
	} {
		a.wantRefused(name, raw)
	}
}

// Security: client assertion: jti replay, also at another endpoint.
func TestAssertionReplay(t *testing.T) {
	a := newAsserting(t)
	assertion := a.sign(nil, nil)
	if _, err := a.present("/token", assertion); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		if _, err := a.present(path, assertion); err == nil || oauth.AsError(err).Code != oauth.InvalidClient {
			t.Errorf("replay at %s: %v", path, err)
		}
	}
	again := a.sign(nil, func(c map[string]any) { c["jti"] = "fixed" })
	other := a.sign(nil, func(c map[string]any) { c["jti"], c["exp"] = "fixed", a.now.Add(2*time.Minute).Unix() })
	if _, err := a.present("/token", again); err != nil {
		t.Fatal(err)
	}
	a.wantRefused("another assertion with the jti", other)
}

// A jti that was never verified is not remembered, or anybody could use up those of a client.
func TestAssertionForgedIsNotRemembered(t *testing.T) {
	a := newAsserting(t)
	claims := a.claims()
	foreign, err := registrytest.Keys(t, testNow()).Signer(keys.ES256, a.now)
	if err != nil {
		t.Fatal(err)
	}
	a.wantRefused("forged", assertiontest.Sign(t, foreign, map[string]any{"kid": a.key(keys.ES256).KID}, claims))
	if _, err := a.present("/token", assertiontest.Sign(t, a.key(keys.ES256), nil, claims)); err != nil {
		t.Errorf("the client's own assertion: %v", err)
	}
}

// A client is declared with one method, and may use no other.
func TestOtherMethodThanDeclared(t *testing.T) {
	a := newAsserting(t)
	c := registrytest.Client(t, a.iss, id)
	c.Secrets = []registry.Secret{{ID: "one", Digest: a.iss.Keys.ClientDigest(c.UID, "one", time.Time{}, secret)}}
	a.iss = registrytest.WithClient(a.iss, c)
	if _, err := authenticate(a.iss, nil, basic(id, secret)); err == nil {
		t.Error("a client with assertions used a secret, in the header")
	}
	if _, err := authenticate(a.iss, url.Values{"client_id": {id}, "client_secret": {secret}}); err == nil {
		t.Error("a client with assertions used a secret, in the body")
	}
	if _, err := authenticate(a.iss, url.Values{"client_id": {id}}); err == nil {
		t.Error("a client with assertions used none")
	}
	if _, err := a.present("/token", a.sign(nil, nil)); err != nil {
		t.Errorf("its own method: %v", err)
	}
	a.declare(nil)
	a.wantRefused("a client with secrets used an assertion", a.sign(nil, nil))
	c.Assertion, c.Public = &registry.Assertion{Keys: public(t, a.keys)}, true
	a.iss = registrytest.WithClient(a.iss, c)
	a.wantRefused("a public client used an assertion", a.sign(nil, nil))
}
