package logout_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth/assertiontest"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// Security: open redirector: nowhere but to a URI that is registered for a client that is named.
func TestOpenRedirector(t *testing.T) {
	s := newSite(t)
	b, hint := s.signIn()
	for name, params := range map[string]url.Values{
		"nobody's":             {"post_logout_redirect_uri": {afterwards}},
		"unregistered":         {"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://attacker.example/"}},
		"longer":               {"id_token_hint": {hint}, "post_logout_redirect_uri": {afterwards + "x"}},
		"with a query":         {"id_token_hint": {hint}, "post_logout_redirect_uri": {afterwards + "?foo=bar"}},
		"with a fragment":      {"id_token_hint": {hint}, "post_logout_redirect_uri": {afterwards + "#x"}},
		"in other case":        {"id_token_hint": {hint}, "post_logout_redirect_uri": {strings.ToUpper(afterwards)}},
		"a redirect_uri":       {"id_token_hint": {hint}, "post_logout_redirect_uri": {registrytest.PrintShopRedirect}},
		"javascript":           {"id_token_hint": {hint}, "post_logout_redirect_uri": {"javascript:alert(1)"}},
		"unknown client":       {"client_id": {"demo.nobody"}, "post_logout_redirect_uri": {afterwards}},
		"another client's":     {"client_id": {registrytest.Native}, "post_logout_redirect_uri": {afterwards}},
		"hint of another":      {"client_id": {registrytest.Native}, "id_token_hint": {hint}, "post_logout_redirect_uri": {afterwards}},
		"hint that is no hint": {"client_id": {registrytest.PrintShop}, "id_token_hint": {"x"}, "post_logout_redirect_uri": {afterwards}},
		"twice":                {"id_token_hint": {hint}, "post_logout_redirect_uri": {afterwards, "https://attacker.example/"}},
	} {
		for method, send := range map[string]func() *servertest.Page{
			"GET":  func() *servertest.Page { return b.Follow(b.Get(s.URL + "/logout?" + params.Encode())) },
			"POST": func() *servertest.Page { return b.Follow(b.Post(s.URL+"/logout", params)) },
		} {
			p := send()
			if p.Status != http.StatusBadRequest || p.Text("error-code") != "invalid_request" || p.Location() != "" || p.Attr("restart", "href") != s.URL+"/logout" || !strings.HasPrefix(p.Text("restart"), "Sign out") {
				t.Errorf("%s, %s: %d %s", name, method, p.Status, p.Location())
			}
		}
	}
	if !s.signedIn(b) {
		t.Error("a request that was refused signed the user out")
	}
}

// Security: token confusion: an access token as id_token_hint, one of another issuer, a stranger's, one without a signature.
func TestForgedHint(t *testing.T) {
	s := newSite(t, "", "/other")
	b, hint := s.signIn()
	tokens := s.tokens(s.NewBrowser(), "")
	stranger, err := registrytest.Keys(t, s.Clock.Now()).Signer(keys.RS256, s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"iss": s.URL, "sub": "x", "aud": registrytest.PrintShop, "exp": s.Clock.Now().Add(time.Hour).Unix(), "iat": s.Clock.Now().Unix(), "auth_time": 1}
	parts := strings.Split(hint, ".")
	for name, forged := range map[string]string{
		"an access token":   tokens["access_token"].(string),
		"another issuer's":  s.tokens(s.NewBrowser(), "/other")["id_token"].(string),
		"a stranger's":      assertiontest.Sign(t, stranger, map[string]any{"typ": "JWT"}, claims),
		"without signature": assertiontest.Unsigned(t, map[string]any{"alg": "none", "typ": "JWT"}, claims),
		"signature cut off": parts[0] + "." + parts[1] + ".",
		"HS256":             assertiontest.SignHMAC(t, s.Issuer("").Keys.JWKS(), map[string]any{"alg": "HS256", "typ": "JWT"}, claims),
	} {
		p := b.Get(s.URL + "/logout?" + url.Values{"id_token_hint": {forged}, "post_logout_redirect_uri": {afterwards}}.Encode())
		if p.Status != http.StatusBadRequest || p.Location() != "" || p.Text("error-code") != "invalid_request" {
			t.Errorf("%s: %d %s", name, p.Status, p.Location())
		}
	}
	if !s.signedIn(b) {
		t.Error("a forged hint signed the user out")
	}
}

// Security: CSRF on logout: without an ID token of the very session, nothing happens but a question; and its form is good for the
// browser and the session that it was made for.
func TestCSRF(t *testing.T) {
	s := newSite(t)
	b, hint := s.signIn()
	mallory, mallorysHint := s.signIn()
	before := s.Writes.Load()
	for name, params := range map[string]url.Values{
		"nothing":             {},
		"a client":            {"client_id": {registrytest.PrintShop}, "post_logout_redirect_uri": {afterwards}, "state": {"x"}},
		"another's hint":      {"id_token_hint": {mallorysHint}, "post_logout_redirect_uri": {afterwards}},
		"unknown parameters":  {"confirm": {"yes"}, "decision": {"sign-out"}},
		"a logout_hint alone": {"logout_hint": {registrytest.Alice}},
	} {
		if p := b.Get(s.URL + "/logout?" + params.Encode()); p.Attr("sign-out", "value") != "sign-out" {
			t.Errorf("GET, %s: no question: %d %s", name, p.Status, p.Body)
		}
		if p := b.Follow(b.Post(s.URL+"/logout", params)); p.Attr("sign-out", "value") != "sign-out" {
			t.Errorf("POST, %s: no question: %d %s", name, p.Status, p.Body)
		}
	}
	form := b.Get(s.URL + "/logout").Action(t)
	mallorys := mallory.Get(s.URL + "/logout").Action(t)
	posted := b.Post(s.URL+"/logout", url.Values{"client_id": {registrytest.PrintShop}}).Location()
	for name, target := range map[string]string{
		"another browser's form": mallorys, "forged": s.URL + "/logout?confirm=forged", "empty": s.URL + "/logout?confirm=",
		"sealed for another step": strings.Replace(posted, "request=", "confirm=", 1),
	} {
		if p := b.Post(target, url.Values{"decision": {"sign-out"}}); p.Status != http.StatusForbidden || p.Text("error-code") != "forbidden" {
			t.Errorf("%s: %d", name, p.Status)
		}
	}
	if !s.signedIn(b) || s.Writes.Load() != before {
		t.Error("the user was signed out")
	}
	s.Clock.Advance(30 * time.Minute)
	if p := b.Post(form, url.Values{"decision": {"sign-out"}}); p.Status != http.StatusForbidden {
		t.Errorf("a form that was open for too long: %d", p.Status)
	}
	if p := b.Get(s.URL + "/logout?" + url.Values{"id_token_hint": {hint}}.Encode()); p.Location() != s.URL+"/logout" || s.signedIn(b) {
		t.Errorf("the session's own hint: %d %s", p.Status, p.Location())
	}
}

// Security: CSRF on logout: a form from before another sign-in in the same browser is not good for the session after it.
func TestFormOfEarlierSession(t *testing.T) {
	s := newSite(t)
	b, _ := s.signIn()
	form := b.Get(s.URL + "/logout").Action(t)
	params := servertest.Params()
	s.Clock.Advance(time.Second)
	params.Set("prompt", "login")
	b.SignIn(b.Authorize("", params), registrytest.Alice, registrytest.AlicePassword)
	if p := b.Post(form, url.Values{"decision": {"sign-out"}}); p.Status != http.StatusForbidden || !s.signedIn(b) {
		t.Errorf("%d", p.Status)
	}
}

// Security: XSS via state, and response splitting: state comes back as it was, in one place only.
func TestState(t *testing.T) {
	s := newSite(t)
	for _, state := range []string{`"><script>alert(1)</script>`, "a\r\nSet-Cookie: x=y", strings.Repeat("s", 128), "&x=y#z", "ä\u202e"} {
		b, hint := s.signIn()
		params := url.Values{"client_id": {registrytest.PrintShop}, "post_logout_redirect_uri": {afterwards}, "state": {state}}
		question := b.Get(s.URL + "/logout?" + params.Encode())
		if strings.Contains(question.Body, "alert(1)") || strings.Contains(question.Body, "Set-Cookie") {
			t.Errorf("the state is on the page: %s", question.Body)
		}
		params.Set("id_token_hint", hint)
		for _, p := range []*servertest.Page{b.Post(question.Action(t), url.Values{"decision": {"sign-out"}}), b.Get(s.URL + "/logout?" + params.Encode())} {
			if got := p.Response(t); len(got) != 1 || got.Get("state") != state || !strings.HasPrefix(p.Location(), afterwards+"?") || p.Header.Get("Set-Cookie") == "x=y" {
				t.Errorf("%q: %s", state, p.Location())
			}
		}
	}
}

// The page that leads to the client names it in its policy, and nobody else; all pages have the headers of pages.
func TestPageHeaders(t *testing.T) {
	s := newSite(t)
	b, _ := s.signIn()
	params := url.Values{"client_id": {registrytest.PrintShop}, "post_logout_redirect_uri": {afterwards}}
	for target, forms := range map[string]string{"/logout": "form-action 'self';", "/logout?" + params.Encode(): "form-action 'self' https://print.example;"} {
		p := b.Get(s.URL + target)
		policy := p.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, forms) || !strings.Contains(policy, "frame-ancestors 'none'") || p.Header.Get("Cache-Control") != "no-store" ||
			p.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", target, p.Header)
		}
	}
}
