package discovery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func newIssuer(t testing.TB) *registry.Issuer {
	t.Helper()
	return registrytest.Issuer(t, "https://login.example.com/tenant", time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
}

type serveFunc func(http.ResponseWriter, *http.Request, *registry.Issuer) error

func serveTo(t testing.TB, serve serveFunc, iss *registry.Issuer, ifNoneMatch ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["If-None-Match"] = ifNoneMatch
	w := httptest.NewRecorder()
	if err := serve(w, r, iss); err != nil {
		t.Fatal(err)
	}
	return w
}

func all(string) bool { return true }

// required are the members of an issuer without any optional endpoint.
func required() map[string]any {
	const issuer = "https://login.example.com/tenant"
	return map[string]any{
		"issuer":                                           issuer,
		"authorization_endpoint":                           issuer + "/authorize",
		"token_endpoint":                                   issuer + "/token",
		"userinfo_endpoint":                                issuer + "/userinfo",
		"jwks_uri":                                         issuer + "/jwks",
		"scopes_supported":                                 []any{"openid", "profile", "email", "address", "phone", "groups", "offline_access"},
		"response_types_supported":                         []any{"code"},
		"response_modes_supported":                         []any{"query", "form_post"},
		"grant_types_supported":                            []any{"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_types_supported":                          []any{"public", "pairwise"},
		"id_token_signing_alg_values_supported":            []any{"ES256", "RS256", "EdDSA", "PS256"},
		"userinfo_signing_alg_values_supported":            []any{"ES256", "RS256", "EdDSA", "PS256"},
		"token_endpoint_auth_methods_supported":            []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"token_endpoint_auth_signing_alg_values_supported": []any{"ES256", "RS256", "EdDSA", "PS256", "Ed25519"},
		"code_challenge_methods_supported":                 []any{"S256"},
		"claim_types_supported":                            []any{"normal"},
		"acr_values_supported":                             []any{"urn:oasis:names:tc:SAML:2.0:ac:classes:Password"},
		"prompt_values_supported":                          []any{"none", "login", "consent", "select_account"},
		"claims_parameter_supported":                       true,
		"request_parameter_supported":                      false,
		"request_uri_parameter_supported":                  false,
		"authorization_response_iss_parameter_supported":   true,
		"claims_supported": []any{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr", "sid",
			"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender",
			"birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified", "phone_number", "phone_number_verified", "address", "groups"},
	}
}

func TestMetadata(t *testing.T) {
	const issuer = "https://login.example.com/tenant"
	whole := required()
	for name, value := range map[string]any{
		"grant_types_supported":                                    []any{"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:device_code"},
		"device_authorization_endpoint":                            issuer + "/device_authorization",
		"introspection_endpoint":                                   issuer + "/introspect",
		"introspection_endpoint_auth_methods_supported":            []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "Bearer"},
		"introspection_endpoint_auth_signing_alg_values_supported": []any{"ES256", "RS256", "EdDSA", "PS256", "Ed25519"},
		"introspection_signing_alg_values_supported":               []any{"RS256"},
		"revocation_endpoint":                                      issuer + "/revoke",
		"revocation_endpoint_auth_methods_supported":               []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"revocation_endpoint_auth_signing_alg_values_supported":    []any{"ES256", "RS256", "EdDSA", "PS256", "Ed25519"},
		"end_session_endpoint":                                     issuer + "/logout",
		"backchannel_logout_supported":                             true,
		"backchannel_logout_session_supported":                     true,
	} {
		whole[name] = value
	}
	for name, test := range map[string]struct {
		serves func(string) bool
		want   map[string]any
	}{
		"every endpoint":       {all, whole},
		"no optional endpoint": {func(string) bool { return false }, required()},
	} {
		t.Run(name, func(t *testing.T) {
			w := serveTo(t, New(test.serves).Metadata, newIssuer(t))
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("got %d, %v", w.Code, w.Header())
			}
			var got map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			for member := range whole {
				if !reflect.DeepEqual(got[member], test.want[member]) {
					t.Errorf("%s: got %v, want %v", member, got[member], test.want[member])
				}
			}
			for member := range got {
				if whole[member] == nil {
					t.Errorf("%s is not expected", member)
				}
			}
		})
	}
}

func TestMetadataFollowsConfig(t *testing.T) {
	h, iss := New(all), newIssuer(t)
	first := serveTo(t, h.Metadata, iss)
	if again := serveTo(t, h.Metadata, iss); again.Header().Get("ETag") != first.Header().Get("ETag") {
		t.Error("the ETag differs for the same document")
	}
	changed := *iss.Config
	changed.Algorithms = []keys.Algorithm{keys.ES256}
	iss.Config = &changed
	second := serveTo(t, h.Metadata, iss)
	if !strings.Contains(second.Body.String(), `"id_token_signing_alg_values_supported":["ES256"]`) || second.Header().Get("ETag") == first.Header().Get("ETag") {
		t.Errorf("the document is that of an older Config: %s", second.Body)
	}
}

// A document, and its ETag, is made once for what is published, not for each request.
func TestDocumentsAreMadeOnce(t *testing.T) {
	var d documents[registry.Config]
	made := 0
	sources := []*registry.Config{{}, {}}
	for _, i := range []int{0, 0, 1, 1, 1, 0} {
		got, err := d.of(sources[i], func() ([]byte, error) { made++; return []byte{'0' + byte(i)}, nil })
		if err != nil || string(got.body) != fmt.Sprint(i) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if made != 2 {
		t.Errorf("made %d times, want 2", made)
	}
}

// Nothing is left of an issuer that was deleted, or of what it was before it was changed.
func TestDocumentsEndWithTheirSource(t *testing.T) {
	h, kept := New(all), newIssuer(t)
	for _, iss := range []*registry.Issuer{kept, newIssuer(t), newIssuer(t)} {
		serveTo(t, h.Metadata, iss)
		serveTo(t, h.JWKS, iss)
	}
	deadline := time.Now().Add(10 * time.Second)
	for left := 6; left != 2; {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d documents are left, want those of one issuer", left)
		}
		left = size(&h.metadata.remembered) + size(&h.keyLists.remembered)
	}
	if serveTo(t, h.Metadata, kept).Code != http.StatusOK {
		t.Error("the document of the issuer that is left can't be had")
	}
	runtime.KeepAlive(kept)
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

func TestJWKSFollowsKeys(t *testing.T) {
	h, iss := New(all), newIssuer(t)
	first := serveTo(t, h.JWKS, iss)
	iss.Keys = registrytest.Keys(t, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
	second := serveTo(t, h.JWKS, iss)
	if second.Header().Get("ETag") == first.Header().Get("ETag") || second.Body.String() != string(iss.Keys.JWKS()) {
		t.Error("the key set is an older one")
	}
}

func BenchmarkJWKS(b *testing.B) {
	h, iss := New(all), newIssuer(b)
	b.ReportAllocs()
	for b.Loop() {
		serveTo(b, h.JWKS, iss)
	}
}

func TestJWKS(t *testing.T) {
	iss := newIssuer(t)
	w := serveTo(t, New(all).JWKS, iss)
	if w.Code != http.StatusOK || w.Body.String() != string(iss.Keys.JWKS()) || w.Header().Get("Content-Type") != "application/jwk-set+json" {
		t.Errorf("got %d %s, %v", w.Code, w.Body, w.Header())
	}
}

func TestConditional(t *testing.T) {
	h, iss := New(all), newIssuer(t)
	for name, serve := range map[string]serveFunc{"metadata": h.Metadata, "JWKS": h.JWKS} {
		first := serveTo(t, serve, iss)
		etag := first.Header().Get("ETag")
		if !strings.HasPrefix(etag, `"`) || !strings.HasSuffix(etag, `"`) {
			t.Errorf("%s: ETag %s is not strong", name, etag)
		}
		if cc := first.Header().Get("Cache-Control"); cc != "public, max-age=300" {
			t.Errorf("%s: Cache-Control %q", name, cc)
		}
		for condition, want := range map[string]int{
			etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, "*": 304, `"other"`: 200, etag + "x": 200, "": 200,
		} {
			w := serveTo(t, serve, iss, condition)
			if w.Code != want || (want == 304) != (w.Body.Len() == 0) || w.Header().Get("ETag") != etag {
				t.Errorf("%s: If-None-Match %s: got %d with %d bytes, ETag %s, want %d", name, condition, w.Code, w.Body.Len(), w.Header().Get("ETag"), want)
			}
		}
		if w := serveTo(t, serve, iss, `"a"`, etag); w.Code != 304 {
			t.Errorf("%s: two If-None-Match headers: got %d", name, w.Code)
		}
	}
}
