package server_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// OpenID Connect leaves PKCE and the nonce of the code flow to the client (Core section 3.1.2.1).
func TestRequestWithoutProofKeyAndNonce(t *testing.T) {
	p := newParty(t)
	_, claims := p.signsIn("nonce", "")
	if nonce, there := claims["nonce"]; there {
		t.Errorf("a nonce that nobody sent: %v", nonce)
	}
	if _, claims = p.signsIn("nonce", "a nonce"); claims["nonce"] != "a nonce" {
		t.Errorf("nonce %v", claims["nonce"])
	}
}

// What a provider needs not understand must do no harm (RFC 6749 section 3.1, OpenID Connect Core sections 3.1.2.1 and 15.1).
func TestParametersThatAreTolerated(t *testing.T) {
	for _, changes := range [][]string{
		{"display", "page"}, {"display", "popup"}, {"ui_locales", "se"}, {"claims_locales", "se"}, {"extra", "foobar"},
		{"login_hint", "buffy@localhost"}, {"acr_values", "1 2"},
	} {
		t.Run(changes[0]+"="+changes[1], func(t *testing.T) {
			newParty(t).gets(changes...)
		})
	}
}

func TestOrderOfParametersAndScopes(t *testing.T) {
	p := newParty(t)
	v := p.asks("scope", "email openid")
	var query []string
	for _, name := range []string{"state", "scope", "response_type", "redirect_uri", "nonce", "client_id"} {
		query = append(query, name+"="+url.QueryEscape(v.Get(name)))
	}
	page := p.browser.Follow(p.browser.Get(p.URL + "/authorize?" + strings.Join(query, "&")))
	if back := p.completes(page); back.Get("code") == "" {
		t.Errorf("called back with %v", back)
	}
}

// Both methods are to be supported (OpenID Connect Core section 3.1.2.1).
func TestAuthorizationRequestByPost(t *testing.T) {
	p := newParty(t)
	page := p.browser.Follow(p.browser.Post(p.URL+"/authorize", p.asks()))
	back := p.completes(page)
	if back.Get("code") == "" || back.Get("state") != partyState {
		t.Errorf("called back with %v", back)
	}
	p.redeems(back.Get("code"))
}

// An error carries the state untouched, the issuer, and nothing that no standard names.
func TestErrorResponse(t *testing.T) {
	for name, c := range map[string]struct {
		changes []string
		want    []string
	}{
		"response_type missing": {[]string{"response_type", ""}, []string{"invalid_request", "unsupported_response_type"}},
		"not signed in":         {[]string{"prompt", "none"}, []string{"login_required"}},
		"request":               {[]string{"request", "e30.e30."}, []string{"request_not_supported"}},
		"request_uri":           {[]string{"request_uri", "https://party.example/request"}, []string{"request_uri_not_supported"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t)
			checkError(t, p, p.sends(c.changes...).Response(t), c.want)
			action, back := formOf(t, p.sends(append(c.changes, "response_mode", "form_post")...))
			if action != partyRedirect {
				t.Errorf("form_post goes to %s", action)
			}
			checkError(t, p, back, c.want)
		})
	}
}

func checkError(t *testing.T, p *party, back url.Values, want []string) {
	t.Helper()
	if got := back.Get("error"); !slices.Contains(want, got) {
		t.Errorf("error %q, not %v", got, want)
	}
	if back.Get("state") != partyState || back.Get("iss") != p.URL {
		t.Errorf("state or iss is wrong in %v", back)
	}
	for name := range back {
		if !slices.Contains([]string{"error", "error_description", "error_uri", "state", "iss"}, name) {
			t.Errorf("an error response with %s", name)
		}
	}
	// RFC 6749 section 4.1.2.1: %x20-21 / %x23-5B / %x5D-7E
	if d := back.Get("error_description"); strings.ContainsFunc(d, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
		t.Errorf("error_description %q", d)
	}
}

// Nothing within a request object that is not supported counts, but for where the client expects to hear so: a client that
// sends one leaves state and response_mode out of the query (OpenID Connect Core section 6.1).
func TestRefusalOfRequestObjectGoesWhereItIsExpected(t *testing.T) {
	p := newParty(t)
	payload := `{"state":"inside","response_mode":"form_post","redirect_uri":"https://evil.example/","client_id":"demo.other-party"}`
	object := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."
	action, back := formOf(t, p.sends("state", "", "nonce", "", "request", object))
	if action != partyRedirect || back.Get("error") != "request_not_supported" || back.Get("state") != "inside" {
		t.Errorf("%v to %s", back, action)
	}
	page := p.sends("redirect_uri", partyRedirect+"_invalid", "request", object)
	if page.Status != http.StatusBadRequest || page.Location() != "" || page.Text("error-code") == "" {
		t.Errorf("an unregistered redirect URI beside a request object: %d %s", page.Status, page.Location())
	}
}

// OAuth 2.0 Form Post Response Mode: the whole response in the body of a POST, nothing of it in a URL.
func TestFormPostResponse(t *testing.T) {
	p := newParty(t)
	consent := p.browser.SignIn(p.sends("response_mode", "form_post"), "alice", "wonderland")
	page := p.browser.Decide(consent, "allow")
	if page.Status != http.StatusOK || page.Location() != "" || page.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", page.Status, page.Header)
	}
	action, back := formOf(t, page)
	if action != partyRedirect || back.Get("state") != partyState || back.Get("iss") != p.URL || back.Get("code") == "" {
		t.Fatalf("%v to %s", back, action)
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "https://party.example") {
		t.Errorf("the policy %q lets no form go to the client", csp)
	}
	p.redeems(back.Get("code"))
}

// An optional proof key that is there is no less one (RFC 7636, RFC 9700 section 2.1.1).
func TestProofKeyWhereItIsOptional(t *testing.T) {
	verifier := strings.Repeat("v", 43)
	challenge := "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM" // of that verifier
	for name, c := range map[string]struct {
		challenge, verifier string
		status              int
	}{
		"both":            {challenge, verifier, http.StatusOK},
		"wrong verifier":  {challenge, strings.Repeat("w", 43), http.StatusBadRequest},
		"verifier left":   {challenge, "", http.StatusBadRequest},
		"challenge left":  {"", verifier, http.StatusBadRequest},
		"neither of both": {"", "", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t)
			var changes []string
			if c.challenge != "" {
				changes = []string{"code_challenge", c.challenge, "code_challenge_method", "S256"}
			}
			form := url.Values{"grant_type": {"authorization_code"}, "code": {p.gets(changes...)}, "redirect_uri": {partyRedirect}}
			if c.verifier != "" {
				form.Set("code_verifier", c.verifier)
			}
			if r := p.posts("/token", form); r.StatusCode != c.status {
				t.Errorf("%s %s", r.Status, r.body)
			}
		})
	}
}
