package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// claimsOfScopes is the table of OpenID Connect Core section 5.4.
func claimsOfScopes() map[string][]string {
	return map[string][]string{
		"openid": {"sub"},
		"profile": {
			"name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture", "website", "gender", "birthdate",
			"zoneinfo", "locale", "updated_at", "preferred_username",
		},
		"email":   {"email", "email_verified"},
		"address": {"address"},
		"phone":   {"phone_number", "phone_number_verified"},
	}
}

// tells signs in and asks userinfo.
func (p *party) tells(changes ...string) (userinfo, idToken map[string]any) {
	p.t.Helper()
	tokens := p.redeems(p.gets(changes...))
	r := p.userinfo(p.URL, tokens["access_token"])
	if r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		p.t.Fatalf("userinfo: %s %s", r.Status, r.body)
	}
	return object(p.t, r.body), claimsOf(p.t, tokens["id_token"].(string))
}

// Userinfo tells every claim of the scopes that were granted, and no other.
func TestClaimsOfScopes(t *testing.T) {
	for _, scope := range []string{"openid", "openid profile", "openid email", "openid address", "openid phone", "openid email phone address profile"} {
		t.Run(scope, func(t *testing.T) {
			got, idToken := newParty(t).tells("scope", scope)
			var want []string
			for s := range strings.FieldsSeq(scope) {
				want = append(want, claimsOfScopes()[s]...)
			}
			slices.Sort(want)
			if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
				t.Errorf("claims are %v, not %v", names, want)
			}
			if got["sub"] != idToken["sub"] {
				t.Errorf("sub is %v at userinfo and %v in the ID token", got["sub"], idToken["sub"])
			}
		})
	}
}

// The types of OpenID Connect Core section 5.1.
func TestTypesOfClaims(t *testing.T) {
	p := newParty(t)
	got, _ := p.tells("scope", "openid email phone address profile")
	for name, value := range got {
		switch name {
		case "updated_at":
			if at, ok := value.(float64); !ok || int64(at) > p.Clock.Now().Unix() || at != float64(int64(at)) {
				t.Errorf("updated_at %v", value)
			}
		case "email_verified", "phone_number_verified":
			if _, ok := value.(bool); !ok {
				t.Errorf("%s %v", name, value)
			}
		case "address":
			address, _ := value.(map[string]any)
			if names := slices.Sorted(maps.Keys(address)); !slices.Equal(names, []string{"country", "formatted", "locality", "postal_code", "region", "street_address"}) {
				t.Errorf("address %v", value)
			}
		default:
			if s, ok := value.(string); !ok || s == "" {
				t.Errorf("%s %v", name, value)
			}
		}
	}
}

// Where an access token is issued, scopes bring claims at userinfo alone (OpenID Connect Core section 5.4).
func TestIDTokenHoldsNothingThatWasNotAskedOfIt(t *testing.T) {
	p := newParty(t)
	allowed := []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "sid", "jti"}
	for _, changes := range [][]string{
		{"scope", "openid"}, {"scope", "openid email phone address profile"}, {"claims", `{"userinfo":{"name":{"essential":true}}}`},
	} {
		_, claims := p.signsIn(changes...)
		for name := range claims {
			if !slices.Contains(allowed, name) {
				t.Errorf("%v: the ID token has %s", changes, name)
			}
		}
		if claims["aud"] != partyID || claims["iss"] != p.URL || claims["nonce"] != "nonce-1" {
			t.Errorf("%v", claims)
		}
	}
}

// Many clients read the ID token and nothing else. That is what they get unless they are declared otherwise.
func TestIDTokenHoldsClaimsOfScopesForClientsThatWantThem(t *testing.T) {
	p := newParty(t)
	client := registrytest.Client(t, p.Issuer(""), partyID)
	client.IDTokenClaimsRequested = false
	p.Publish(registrytest.WithClient(p.Issuer(""), client))
	if _, claims := p.signsIn("scope", "openid email"); claims["email"] != "alice@example.com" || claims["name"] != nil {
		t.Errorf("%v", claims)
	}
}

func TestAtHash(t *testing.T) {
	p := newParty(t)
	tokens := p.redeems(p.gets())
	sum := sha256.Sum256([]byte(tokens["access_token"].(string)))
	if got := claimsOf(t, tokens["id_token"].(string))["at_hash"]; got != base64.RawURLEncoding.EncodeToString(sum[:16]) {
		t.Errorf("at_hash %v", got)
	}
}

// OpenID Connect Core section 5.5: single claims, where they are asked for.
func TestClaimsParameter(t *testing.T) {
	p := newParty(t)
	info, idToken := p.tells("claims", `{"userinfo":{"name":{"essential":true}}}`)
	if info["name"] != "Alice Liddell" || info["given_name"] != nil || idToken["name"] != nil {
		t.Errorf("userinfo %v, ID token %v", info, idToken)
	}
	info, idToken = p.elsewhere().tells("claims", `{"id_token":{"email":null,"made_up":null}}`)
	if idToken["email"] != "alice@example.com" || info["email"] != nil || idToken["made_up"] != nil {
		t.Errorf("userinfo %v, ID token %v", info, idToken)
	}
	p.refuses("invalid_request", "claims", "{")
}

// OpenID Connect Core section 5.3.1, RFC 6750 sections 2.1 and 2.2.
func TestUserinfoByEveryMethod(t *testing.T) {
	p := newParty(t)
	access, _ := p.redeems(p.gets())["access_token"].(string)
	header := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+access) }
	form := func(r *http.Request) { r.Header.Set("Content-Type", formContentType) }
	for name, c := range map[string]struct {
		method, body string
		with         func(*http.Request)
	}{
		"GET with a header":  {http.MethodGet, "", header},
		"POST with a header": {http.MethodPost, "", header},
		"POST with a form":   {http.MethodPost, url.Values{"access_token": {access}}.Encode(), form},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.newRequest(c.method, p.URL+"/userinfo", strings.NewReader(c.body))
			c.with(r)
			if got := p.send(r); got.StatusCode != http.StatusOK || object(t, got.body)["sub"] == "" {
				t.Errorf("%s %s", got.Status, got.body)
			}
		})
	}
}
