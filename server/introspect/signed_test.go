package introspect_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

const signedType = "application/token-introspection+jwt"

func accept(values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header["Accept"] = values }
}

// open verifies a signed reply as a resource server does, and returns its header and claims.
func (f *fixture) open(got reply) (header, claims map[string]any) {
	f.t.Helper()
	if got.status != http.StatusOK || got.header.Get("Content-Type") != signedType || got.header.Get("Cache-Control") != "no-store" {
		f.t.Fatalf("got HTTP %d %v %s", got.status, got.header, got.body)
	}
	parts := strings.Split(got.body, ".")
	if len(parts) != 3 {
		f.t.Fatalf("not a JWS: %s", got.body)
	}
	decode := func(part string) []byte {
		b, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			f.t.Fatal(err)
		}
		return b
	}
	for i, out := range []*map[string]any{&header, &claims} {
		if err := json.Unmarshal(decode(parts[i]), out); err != nil {
			f.t.Fatal(err)
		}
	}
	set, err := keys.ParsePublicSet(f.Issuer("").Keys.JWKS())
	if err != nil {
		f.t.Fatal(err)
	}
	public := set.Find(header["kid"].(string), keys.RS256)[0].Public.(*rsa.PublicKey)
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], decode(parts[2])); err != nil {
		f.t.Fatal(err)
	}
	return header, claims
}

func TestSignedIntrospection(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(f.access())
	for name, test := range map[string]struct {
		caller as
		token  string
		want   string
		active bool
	}{
		"a client":                             {nightly(), raw, registrytest.Nightly, true},
		"a client, of a token that is no good": {nightly(), "opaque", registrytest.Nightly, false},
		"a ServiceAccount":                     {f.service(), raw, registrytest.Photos, true},
	} {
		t.Run(name, func(t *testing.T) {
			header, claims := f.open(f.post(test.caller, url.Values{"token": {test.token}}, accept(signedType)))
			if header["typ"] != "token-introspection+jwt" || header["alg"] != "RS256" {
				t.Errorf("the header is %v", header)
			}
			if claims["iss"] != f.URL || claims["aud"] != test.want || claims["iat"] != float64(f.Clock.Now().Unix()) {
				t.Errorf("claims are %v", claims)
			}
			if _, ok := claims["exp"]; ok || claims["sub"] != nil { // so that nobody takes it for an access token
				t.Errorf("it has sub or exp: %v", claims)
			}
			plain := f.ask(test.caller, test.token)
			if !reflect.DeepEqual(claims["token_introspection"], any(plain.claims)) || plain.claims["active"] != test.active {
				t.Errorf("signed: %v, unsigned: %v", claims["token_introspection"], plain.claims)
			}
		})
	}
}

// A ServiceAccount that may ask for none is told so by name: nothing says which resource server it is.
func TestSignedIntrospectionForAServiceAccountWithoutRights(t *testing.T) {
	f := newFixture(t)
	account := cluster.Account(t)
	_, claims := f.open(f.post(asBearer(cluster.Token(t, account, f.URL)), url.Values{"token": {f.sign(f.access())}}, accept(signedType)))
	body, err := json.Marshal(claims["token_introspection"])
	if err != nil || string(body) != `{"active":false}` || claims["aud"] != "system:serviceaccount:demo:"+account {
		t.Errorf("got %v, %v", claims, err)
	}
}

func TestASignedReplyIsAskedForByName(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(f.access())
	for value, want := range map[string]bool{
		signedType:                                        true,
		"APPLICATION/Token-Introspection+JWT":             true,
		signedType + ";q=0.5, text/html":                  true,
		signedType + ", application/json":                 true,
		"application/json;q=0.2," + signedType + ";q=0.3": true,
		"application/json, " + signedType + ";q=0.9":      false,
		signedType + ";q=0":                               false,
		signedType + ";q=x":                               false,
		"application/json":                                false,
		"*/*":                                             false,
		"application/*":                                   false,
		"application/jwt":                                 false,
		"":                                                false,
		strings.Repeat(",", 2000):                         false,
	} {
		got := f.post(nightly(), url.Values{"token": {raw}}, accept(value))
		if signed := got.header.Get("Content-Type") == signedType; got.status != http.StatusOK || signed != want {
			t.Errorf("%.60q: HTTP %d, signed %t, want %t", value, got.status, signed, want)
		}
	}
	if got := f.post(nightly(), url.Values{"token": {raw}}, accept("text/html", signedType)); got.header.Get("Content-Type") != signedType {
		t.Error("the second of two headers is not read")
	}
}

// Who asks wrongly is told in JSON, as by any endpoint.
func TestErrorsAreNotSigned(t *testing.T) {
	f := newFixture(t)
	wantError(t, f.post(asNobody, url.Values{"token": {"x"}}, accept(signedType)), http.StatusUnauthorized, "invalid_client")
}

func TestWithoutAKeyNothingIsSigned(t *testing.T) {
	f := newFixture(t)
	next := *f.Issuer("")
	config := *next.Config
	config.Algorithms = slices.DeleteFunc(slices.Clone(config.Algorithms), func(a keys.Algorithm) bool { return a == keys.RS256 })
	config.IDTokenAlgorithm = "ES512"
	next.Config = &config
	f.Publish(&next)
	wantError(t, f.post(nightly(), url.Values{"token": {"x"}}, accept(signedType)), http.StatusServiceUnavailable, "temporarily_unavailable")
}
