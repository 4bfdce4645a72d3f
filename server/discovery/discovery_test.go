package discovery

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func newIssuer(t *testing.T) *registry.Issuer {
	t.Helper()
	return registrytest.Issuer(t, "https://login.example.com/tenant", time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
}

type serveFunc func(http.ResponseWriter, *http.Request, *registry.Issuer) error

func serveTo(t *testing.T, serve serveFunc, iss *registry.Issuer, ifNoneMatch ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["If-None-Match"] = ifNoneMatch
	w := httptest.NewRecorder()
	if err := serve(w, r, iss); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestMetadata(t *testing.T) {
	iss := newIssuer(t)
	w := serveTo(t, New().Metadata, iss)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("got %d, %v", w.Code, w.Header())
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"issuer":                                         "https://login.example.com/tenant",
		"authorization_endpoint":                         "https://login.example.com/tenant/authorize",
		"token_endpoint":                                 "https://login.example.com/tenant/token",
		"userinfo_endpoint":                              "https://login.example.com/tenant/userinfo",
		"jwks_uri":                                       "https://login.example.com/tenant/jwks",
		"scopes_supported":                               []any{"openid", "profile", "email", "groups"},
		"response_types_supported":                       []any{"code"},
		"response_modes_supported":                       []any{"query"},
		"grant_types_supported":                          []any{"authorization_code"},
		"subject_types_supported":                        []any{"public"},
		"id_token_signing_alg_values_supported":          []any{"ES256", "RS256"},
		"token_endpoint_auth_methods_supported":          []any{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":               []any{"S256"},
		"claim_types_supported":                          []any{"normal"},
		"acr_values_supported":                           []any{"urn:oasis:names:tc:SAML:2.0:ac:classes:Password"},
		"prompt_values_supported":                        []any{"none", "login", "consent", "select_account"},
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		"authorization_response_iss_parameter_supported": true,
		"claims_supported": []any{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr", "sid",
			"name", "preferred_username", "email", "email_verified", "groups"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestMetadataFollowsConfig(t *testing.T) {
	h, iss := New(), newIssuer(t)
	first := serveTo(t, h.Metadata, iss)
	if again := serveTo(t, h.Metadata, iss); again.Header().Get("ETag") != first.Header().Get("ETag") {
		t.Error("the ETag differs for the same document")
	}
	changed := *iss.Config
	changed.Algorithms = []keys.Algorithm{keys.ES256}
	iss.Config = &changed
	second := serveTo(t, h.Metadata, iss)
	if strings.Contains(second.Body.String(), "RS256") || second.Header().Get("ETag") == first.Header().Get("ETag") {
		t.Errorf("the document is that of an older Config: %s", second.Body)
	}
}

func TestMetadataIsMadeOnce(t *testing.T) {
	h, iss := New(), newIssuer(t)
	first, err := h.metadata(iss.Config)
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.metadata(iss.Config)
	if err != nil || &first[0] != &second[0] {
		t.Errorf("the document was made twice, %v", err)
	}
}

func TestJWKS(t *testing.T) {
	iss := newIssuer(t)
	w := serveTo(t, New().JWKS, iss)
	if w.Code != http.StatusOK || w.Body.String() != string(iss.Keys.JWKS()) || w.Header().Get("Content-Type") != "application/jwk-set+json" {
		t.Errorf("got %d %s, %v", w.Code, w.Body, w.Header())
	}
}

func TestConditional(t *testing.T) {
	h, iss := New(), newIssuer(t)
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
