package interaction_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/token"
)

const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B

func params(change ...string) url.Values {
	v := url.Values{
		"client_id": {registrytest.PrintShop}, "redirect_uri": {registrytest.PrintShopRedirect}, "response_type": {"code"},
		"scope": {"openid photos.read"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"s"},
	}
	for i := 0; i < len(change); i += 2 {
		v.Del(change[i])
		if change[i+1] != "" {
			v.Set(change[i], change[i+1])
		}
	}
	return v
}

func TestValidate(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	for _, tc := range []struct {
		name   string
		change []string
		want   oauth.Code // empty: valid
	}{
		{name: "good"},
		{name: "request object", change: []string{"request", "eyJ"}, want: oauth.RequestNotSupported},
		{name: "request_uri", change: []string{"request_uri", "https://c.example/r"}, want: oauth.RequestURINotSupported},
		{name: "no response_type", change: []string{"response_type", ""}, want: oauth.InvalidRequest},
		{name: "implicit", change: []string{"response_type", "token"}, want: oauth.UnsupportedResponseType},
		{name: "hybrid", change: []string{"response_type", "code id_token"}, want: oauth.UnsupportedResponseType},
		{name: "registration", change: []string{"registration", "{}"}, want: oauth.RegistrationNotSupported},
		{name: "response_mode form_post", change: []string{"response_mode", "form_post"}},
		{name: "response_mode form_post to a private-use scheme", change: []string{"client_id", registrytest.Native, "redirect_uri", registrytest.NativePrivate, "response_mode", "form_post"}, want: oauth.InvalidRequest},
		{name: "response_mode query", change: []string{"response_mode", "query"}},
		{name: "response_mode fragment", change: []string{"response_mode", "fragment"}, want: oauth.InvalidRequest},
		{name: "no challenge", change: []string{"code_challenge", ""}, want: oauth.InvalidRequest},
		{name: "no challenge nor method", change: []string{"code_challenge", "", "code_challenge_method", ""}, want: oauth.InvalidRequest},
		{name: "plain", change: []string{"code_challenge_method", "plain"}, want: oauth.InvalidRequest},
		{name: "plain by default", change: []string{"code_challenge_method", ""}, want: oauth.InvalidRequest},
		{name: "s256 in small letters", change: []string{"code_challenge_method", "s256"}, want: oauth.InvalidRequest},
		{name: "challenge too short", change: []string{"code_challenge", challenge[1:]}, want: oauth.InvalidRequest},
		{name: "challenge too long", change: []string{"code_challenge", strings.Repeat("a", 129)}, want: oauth.InvalidRequest},
		{name: "challenge in another alphabet", change: []string{"code_challenge", challenge[1:] + "="}, want: oauth.InvalidRequest},
		{name: "challenge not ASCII", change: []string{"code_challenge", challenge[1:] + "é"}, want: oauth.InvalidRequest},
		{name: "no scope", change: []string{"scope", ""}, want: oauth.InvalidScope},
		{name: "scope of spaces", change: []string{"scope", "  "}, want: oauth.InvalidScope},
		{name: "scope with a quote", change: []string{"scope", `openid "`}, want: oauth.InvalidScope},
		{name: "scope with a line feed", change: []string{"scope", "openid\nphotos.read"}, want: oauth.InvalidScope},
		{name: "scope not granted by its owner", change: []string{"scope", "orders.write"}, want: oauth.InvalidScope},
		{name: "too many scopes", change: []string{"scope", manyScopes()}, want: oauth.InvalidScope},
		{name: "resource", change: []string{"resource", registrytest.Photos}},
		{name: "unknown resource", change: []string{"resource", "https://elsewhere.example"}, want: oauth.InvalidTarget},
		{name: "relative resource", change: []string{"resource", "photos"}, want: oauth.InvalidTarget},
		{name: "resource with fragment", change: []string{"resource", registrytest.Photos + "#"}, want: oauth.InvalidTarget},
		{name: "scopes of several without resource", change: []string{"scope", "photos.read orders.read"}, want: oauth.InvalidTarget},
		{name: "prompt values", change: []string{"prompt", "login consent select_account"}},
		{name: "prompt none", change: []string{"prompt", "none"}},
		{name: "prompt none with another", change: []string{"prompt", "none login"}, want: oauth.InvalidRequest},
		{name: "prompt unknown", change: []string{"prompt", "create"}, want: oauth.InvalidRequest},
		{name: "max_age 0", change: []string{"max_age", "0"}},
		{name: "max_age negative", change: []string{"max_age", "-1"}, want: oauth.InvalidRequest},
		{name: "max_age not a number", change: []string{"max_age", "1h"}, want: oauth.InvalidRequest},
		{name: "max_age beyond all bounds", change: []string{"max_age", "99999999999999999999"}, want: oauth.InvalidRequest},
		{name: "state too long", change: []string{"state", strings.Repeat("s", 2049)}, want: oauth.InvalidRequest},
		{name: "nonce too long", change: []string{"nonce", strings.Repeat("n", 513)}, want: oauth.InvalidRequest},
		{name: "nonce not UTF-8", change: []string{"nonce", "\xff"}, want: oauth.InvalidRequest},
		{name: "claims", change: []string{"claims", `{"userinfo":{"name":{"essential":true}},"id_token":{"auth_time":null}}`}},
		{name: "claims that is no JSON", change: []string{"claims", "{"}, want: oauth.InvalidRequest},
		{name: "essential acr that there is", change: []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["0","` + token.ACRPassword + `"]}}}`}},
		{name: "essential acr of any value", change: []string{"claims", `{"id_token":{"acr":{"essential":true}}}`}},
		{name: "essential acr that there isn't", change: []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`}, want: oauth.UnmetAuthenticationRequirements},
		{name: "essential acr of one value that there isn't", change: []string{"claims", `{"id_token":{"acr":{"essential":true,"value":"phr"}}}`}, want: oauth.UnmetAuthenticationRequirements},
		{name: "voluntary acr that there isn't", change: []string{"claims", `{"id_token":{"acr":{"values":["phr"]}}}`}},
		{name: "acr_values that there aren't", change: []string{"acr_values", "phr phrh"}},
		{name: "no nonce", change: []string{"nonce", ""}},
		{name: "id_token_hint that is none", change: []string{"id_token_hint", "x"}, want: oauth.InvalidRequest},
		{name: "parameters to ignore", change: []string{"display", "popup", "ui_locales", "de", "acr_values", "1", "claims_locales", "de", "login_hint", "x", "unheard_of", "x"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := interaction.Identify(iss, params(tc.change...), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			var got oauth.Code
			if err := req.Validate(); err != nil {
				got = err.Code
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func manyScopes() string {
	var b strings.Builder
	for i := range 65 {
		b.WriteString(" s")
		b.WriteString(strings.Repeat("x", i))
	}
	return b.String()
}

func TestValidateClientWithoutTheGrantType(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	c := registrytest.Client(t, iss, registrytest.PrintShop)
	c.GrantTypes = []string{"client_credentials"}
	req, err := interaction.Identify(registrytest.WithClient(iss, c), params(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := req.Validate(); err == nil || err.Code != oauth.UnauthorizedClient {
		t.Errorf("%v, want unauthorized_client", err)
	}
}

func TestIdentify(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	for name, change := range map[string][]string{
		"no client_id":           {"client_id", ""},
		"unknown client":         {"client_id", "demo.nobody"},
		"no redirect_uri":        {"redirect_uri", ""},
		"another redirect_uri":   {"redirect_uri", "https://evil.example/callback"},
		"another's redirect_uri": {"redirect_uri", registrytest.NativePrivate},
	} {
		_, err := interaction.Identify(iss, params(change...), time.Now())
		var e *oauth.Error
		if !errors.As(err, &e) || e.Code.Status() != 400 {
			t.Errorf("%s: %v, want an error for a 400 page", name, err)
		}
	}
	req, err := interaction.Identify(iss, params(), time.Now())
	if err != nil || req.Client.ID != registrytest.PrintShop || req.RedirectURI != registrytest.PrintShopRedirect || req.State != "s" {
		t.Errorf("%+v, %v", req, err)
	}
}
