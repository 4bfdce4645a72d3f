package server_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// metadata is what the issuer says of itself (OpenID Connect Discovery section 4.2).
func (p *party) metadata() map[string]any {
	p.t.Helper()
	r := p.send(p.newRequest(http.MethodGet, p.URL+"/.well-known/openid-configuration", nil))
	if r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		p.t.Fatalf("%s %v", r.Status, r.Header)
	}
	return object(p.t, r.body)
}

func listed(list any, value string) bool {
	values, _ := list.([]any)
	return slices.Contains(values, any(value))
}

func TestMetadataIsWhatOpenIDConnectAsksFor(t *testing.T) {
	p := newParty(t)
	m := p.metadata()
	if m["issuer"] != p.URL {
		t.Errorf("issuer %v", m["issuer"])
	}
	for name, values := range map[string][]string{
		"scopes_supported":                      {"openid", "profile", "email", "address", "phone", "offline_access"},
		"response_types_supported":              {"code"},
		"response_modes_supported":              {"query", "form_post"},
		"grant_types_supported":                 {"authorization_code", "refresh_token"},
		"subject_types_supported":               {"public", "pairwise"},
		"id_token_signing_alg_values_supported": {"RS256"},
		"token_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"code_challenge_methods_supported":      {"S256"},
		"claims_supported":                      {"sub", "name", "updated_at", "email_verified", "address", "phone_number_verified"},
	} {
		for _, value := range values {
			if !listed(m[name], value) {
				t.Errorf("%s lacks %s: %v", name, value, m[name])
			}
		}
	}
	for name, want := range map[string]any{
		"claims_parameter_supported": true, "request_parameter_supported": false, "request_uri_parameter_supported": false,
		"authorization_response_iss_parameter_supported": true, "backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
	} {
		if m[name] != want {
			t.Errorf("%s is %v", name, m[name])
		}
	}
}

func TestMetadataHasOnlyHTTPSEndpointsAndNoEmptyLists(t *testing.T) {
	m := newParty(t).metadata()
	for name, value := range m {
		if list, ok := value.([]any); ok && len(list) == 0 {
			t.Errorf("%s is empty; RFC 8414 section 2 wants it left out", name)
		}
		if s, ok := value.(string); ok && !strings.HasPrefix(s, "https://") {
			t.Errorf("%s is %s", name, s)
		}
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"} {
		if m[name] == nil {
			t.Errorf("no %s", name)
		}
	}
}

// The published keys are public, told apart by kid, and what they say they are (RFC 7517, RFC 7518 section 6).
func TestPublishedKeys(t *testing.T) {
	p := newParty(t)
	r := p.send(p.newRequest(http.MethodGet, p.metadata()["jwks_uri"].(string), nil))
	list, _ := object(t, r.body)["keys"].([]any)
	seen := map[any]bool{}
	for _, k := range list {
		key, _ := k.(map[string]any)
		if key["kid"] == nil || seen[key["kid"]] || key["use"] != "sig" || key["alg"] == nil {
			t.Errorf("%v", key)
		}
		seen[key["kid"]] = true
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if key[private] != nil {
				t.Errorf("key %v has %s", key["kid"], private)
			}
		}
		checkKey(t, key)
	}
	if len(seen) == 0 {
		t.Error("no keys")
	}
}

func checkKey(t *testing.T, key map[string]any) {
	t.Helper()
	switch key["kty"] {
	case "RSA":
		if n := number(t, key["n"]); n.BitLen() < 2048 {
			t.Errorf("RSA key of %d bits", n.BitLen())
		}
	case "EC":
		curve := elliptic.P256()
		if x, y := number(t, key["x"]), number(t, key["y"]); key["crv"] != "P-256" || !onCurve(curve, x, y) {
			t.Errorf("not on P-256: %v", key)
		}
	case "OKP":
		if key["crv"] != "Ed25519" || key["x"] == nil {
			t.Errorf("%v", key)
		}
	default:
		t.Errorf("kty %v", key["kty"])
	}
}

// onCurve says whether y² = x³ - 3x + b.
func onCurve(c elliptic.Curve, x, y *big.Int) bool {
	p := c.Params()
	right := new(big.Int).Exp(x, big.NewInt(3), p.P)
	right.Sub(right, new(big.Int).Mul(x, big.NewInt(3))).Add(right, p.B).Mod(right, p.P)
	return new(big.Int).Exp(y, big.NewInt(2), p.P).Cmp(right) == 0
}

func number(t *testing.T, value any) *big.Int {
	t.Helper()
	s, _ := value.(string)
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		t.Fatalf("%v is no number: %v", value, err)
	}
	return new(big.Int).SetBytes(b)
}
