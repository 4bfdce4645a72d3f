package authorize_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// with returns good parameters with changes; an empty value removes a parameter.
func with(change ...string) url.Values {
	v := servertest.Params()
	for i := 0; i < len(change); i += 2 {
		v.Del(change[i])
		if change[i+1] != "" {
			v.Set(change[i], change[i+1])
		}
	}
	return v
}

// wantPage checks that a page of our own was shown, with the error, and that it leads nowhere.
func wantPage(t *testing.T, p *servertest.Page, status int, code string) {
	t.Helper()
	if p.Status != status || p.Location() != "" || p.Text("error-code") != code {
		t.Errorf("status %d, Location %q, error-code %q; want %d, none, %q", p.Status, p.Location(), p.Text("error-code"), status, code)
	}
}

// Row: never redirect; a 400 page of our own.
func TestNeverRedirect(t *testing.T) {
	s := servertest.Start(t)
	for name, change := range map[string][]string{
		"unknown client":              {"client_id", "demo.nobody"},
		"no client":                   {"client_id", ""},
		"missing redirect_uri":        {"redirect_uri", ""},
		"unregistered":                {"redirect_uri", "https://evil.example/callback"},
		"of another client":           {"redirect_uri", registrytest.NativePrivate},
		"wildcard":                    {"redirect_uri", "https://*.example/callback"},
		"fragment":                    {"redirect_uri", registrytest.PrintShopRedirect + "#x"},
		"empty fragment":              {"redirect_uri", registrytest.PrintShopRedirect + "#"},
		"userinfo":                    {"redirect_uri", "https://print.example@evil.example/callback"},
		"registered host as userinfo": {"redirect_uri", "https://x@print.example/callback"},
		"differently encoded":         {"redirect_uri", "https://print.example/%63allback"},
		"other case":                  {"redirect_uri", "https://PRINT.example/callback"},
		"default port":                {"redirect_uri", "https://print.example:443/callback"},
		"dot segments":                {"redirect_uri", "https://print.example/x/../callback"},
		"longer path":                 {"redirect_uri", registrytest.PrintShopRedirect + "/evil"},
		"query added":                 {"redirect_uri", registrytest.PrintShopRedirect + "?x=1"},
		"prefix of another host":      {"redirect_uri", "https://print.example.evil.example/callback"},
		"backslash":                   {"redirect_uri", `https://print.example\@evil.example/callback`},
		"javascript":                  {"redirect_uri", "javascript:alert(1)//print.example/callback"},
		"data":                        {"redirect_uri", "data:text/html,<script>alert(1)</script>"},
		"scheme relative":             {"redirect_uri", "//print.example/callback"},
		"CRLF":                        {"redirect_uri", registrytest.PrintShopRedirect + "\r\nSet-Cookie: a=b"},
		"loopback of a web client":    {"redirect_uri", "http://127.0.0.1:8080/callback"},
		"loopback name":               {"client_id", registrytest.Native, "redirect_uri", "http://localhost:8080/callback"},
		"loopback with userinfo":      {"client_id", registrytest.Native, "redirect_uri", "http://127.0.0.1:80@evil.example/callback"},
		"loopback with another path":  {"client_id", registrytest.Native, "redirect_uri", "http://127.0.0.1:8080/evil"},
	} {
		t.Run(name, func(t *testing.T) {
			params := with(change...)
			wantPage(t, s.NewBrowser().Authorize("", params), http.StatusBadRequest, "invalid_request")
			b := s.NewBrowser()
			wantPage(t, b.Follow(b.Post(s.URL+"/authorize", params)), http.StatusBadRequest, "invalid_request")
		})
	}
}

// Row: redirect with error, state, iss.
func TestRedirectWithError(t *testing.T) {
	s := servertest.Start(t)
	for name, tc := range map[string]struct {
		change []string
		want   string
	}{
		"bad response_type":                     {[]string{"response_type", "token"}, "unsupported_response_type"},
		"no challenge":                          {[]string{"code_challenge", ""}, "invalid_request"},
		"plain":                                 {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"plain by default":                      {[]string{"code_challenge_method", ""}, "invalid_request"},
		"prompt=none, nobody signed in":         {[]string{"prompt", "none"}, "login_required"},
		"unknown resource":                      {[]string{"resource", "https://elsewhere.example"}, "invalid_target"},
		"scope not granted by its owner":        {[]string{"scope", "orders.write"}, "invalid_scope"},
		"scopes of several without resource":    {[]string{"scope", "photos.read orders.read"}, "invalid_target"},
		"request object":                        {[]string{"request", "e30.e30."}, "request_not_supported"},
		"request_uri":                           {[]string{"request_uri", "https://print.example/r"}, "request_uri_not_supported"},
		"prompt=none and more":                  {[]string{"prompt", "none consent"}, "invalid_request"},
		"state too long":                        {[]string{"state", strings.Repeat("s", 3000)}, "invalid_request"},
		"no challenge, and state to be escaped": {[]string{"code_challenge", "", "state", `a&b=c#d"<é`}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			params := with(tc.change...)
			p := s.NewBrowser().Authorize("", params)
			if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location(), registrytest.PrintShopRedirect+"?") {
				t.Fatalf("status %d, Location %q", p.Status, p.Location())
			}
			got := p.Response(t)
			if got.Get("error") != tc.want || got.Get("state") != params.Get("state") || got.Get("iss") != s.URL || got.Has("code") {
				t.Errorf("told the client %v, want error %s, the state and iss", got, tc.want)
			}
			if got.Get("error_description") == "" {
				t.Error("no error_description")
			}
		})
	}
}

// Row: prompt=none → consent_required.
func TestPromptNoneNeedsConsent(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	b.SignIn(b.Authorize("", with()), registrytest.Alice, registrytest.AlicePassword)
	if got := b.Authorize("", with("prompt", "none")).Response(t); got.Get("error") != "consent_required" {
		t.Errorf("%v, want consent_required", got)
	}
}

// Row: duplicate parameter.
func TestDuplicateParameter(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	for name := range with() {
		for _, second := range []string{"other", with().Get(name)} {
			params := with()
			params.Add(name, second)
			wantPage(t, b.Authorize("", params), http.StatusBadRequest, "invalid_request")
			wantPage(t, b.Post(s.URL+"/authorize", params), http.StatusBadRequest, "invalid_request")
		}
	}
	twice := with("resource", registrytest.Photos, "scope", "photos.read orders.read")
	twice.Add("resource", registrytest.Orders)
	if p := b.Authorize("", twice); p.Text("error-code") != "" || p.Action(t) == "" {
		t.Error("resource may repeat (RFC 8707)")
	}
}

// Row: oversized or deep input.
func TestOversized(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	many := with()
	for i := range 100 {
		many.Set("p"+strings.Repeat("x", i), "1")
	}
	for name, params := range map[string]url.Values{
		"long parameter":  with("unheard_of", strings.Repeat("x", 5000)),
		"long in all":     with("a", strings.Repeat("x", 2500), "b", strings.Repeat("x", 2500)),
		"many parameters": many,
		"huge":            with("state", strings.Repeat("x", 20000)),
	} {
		t.Run(name, func(t *testing.T) {
			wantPage(t, b.Authorize("", params), http.StatusBadRequest, "invalid_request")
			wantPage(t, b.Post(s.URL+"/authorize", params), http.StatusBadRequest, "invalid_request")
		})
	}
	wantPage(t, b.Post(s.URL+"/authorize", with("state", strings.Repeat("x", 100<<10))), http.StatusRequestEntityTooLarge, "request_too_large")
}

// The longest request that is taken gets through every step in URLs of 6 KiB.
func TestLongestRequestFits(t *testing.T) {
	s := servertest.Start(t)
	params := with()
	params.Set("unheard_of", strings.Repeat("x", 4096-len(params.Encode())-len("&unheard_of=")))
	b := s.NewBrowser()
	p := b.Get(s.URL + "/authorize?" + params.Encode())
	for p.Status == http.StatusSeeOther && strings.HasPrefix(p.Location(), s.URL) {
		if len(p.Location()) > 6<<10 {
			t.Errorf("a URL of %d bytes", len(p.Location()))
		}
		if p = b.Get(p.Location()); p.Status != http.StatusOK {
			continue
		}
		if action := p.Action(t); strings.Contains(action, "/login") {
			p = b.Post(action, url.Values{"username": {registrytest.Alice}, "password": {registrytest.AlicePassword}})
		} else {
			p = b.Post(action, url.Values{"decision": {"allow"}})
		}
	}
	if p.Response(t).Get("code") == "" {
		t.Errorf("ended with %d %s", p.Status, p.Location())
	}
}

// Row: response splitting (CRLF) → no header emitted.
func TestResponseSplitting(t *testing.T) {
	s := servertest.Start(t)
	const evil = "x\r\nSet-Cookie: evil=1\r\n\r\n<script>"
	p := s.NewBrowser().Authorize("", with("prompt", "none", "state", evil))
	if p.Header.Get("Set-Cookie") != "" || strings.ContainsAny(p.Location(), "\r\n") || p.Response(t).Get("state") != evil {
		t.Errorf("header %v", p.Header)
	}
}

// Row: sealed value of one step at another.
func TestSealOfOneStepAtAnother(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	seal := func(u string) string {
		t.Helper()
		_, value, ok := strings.Cut(u, "?"+interaction.Parameter+"=")
		if !ok {
			t.Fatalf("no seal in %q", u)
		}
		return value
	}
	// One browser, signed in, that has a seal for each step; prompt=login gives it one for the sign-in page too.
	consentPage := b.SignIn(b.Authorize("", with()), registrytest.Alice, registrytest.AlicePassword)
	s.Clock.Advance(time.Second)
	seals := map[string]string{
		"consent":  seal(consentPage.URL),
		"approval": seal(consentPage.Action(t)),
		"login":    seal(b.Authorize("", with("prompt", "login")).URL),
		"decision": seal(b.Post(consentPage.Action(t), url.Values{"decision": {"allow"}}).Location()),
	}
	decision := s.URL + "/authorize?" + interaction.Parameter + "=" + seals["decision"]
	seals["code"] = b.Get(decision).Response(t).Get("code")
	for _, target := range []struct{ method, path, accepts string }{
		{http.MethodGet, "/authorize", "decision"},
		{http.MethodGet, "/login", "login"},
		{http.MethodPost, "/login", "login"},
		{http.MethodGet, "/consent", "consent"},
		{http.MethodPost, "/consent", "approval"},
	} {
		for of, value := range seals {
			u := s.URL + target.path + "?" + interaction.Parameter + "=" + value
			var p *servertest.Page
			if target.method == http.MethodPost {
				p = b.Post(u, url.Values{"decision": {"deny"}})
			} else {
				p = b.Get(u)
			}
			if refused := p.Status == http.StatusForbidden && p.Text("error-code") == "forbidden"; refused == (of == target.accepts) {
				t.Errorf("%s %s with the seal of %s: %d", target.method, target.path, of, p.Status)
			}
		}
	}
}

// Row: forged or truncated seals.
func TestForgedSeal(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	good := b.Authorize("", with()).URL
	for name, u := range map[string]string{
		"truncated":      good[:len(good)-1],
		"last byte":      good[:len(good)-2] + "AA",
		"extended":       good + "A",
		"empty":          s.URL + "/login?" + interaction.Parameter + "=",
		"none":           s.URL + "/login",
		"not base64":     s.URL + "/login?" + interaction.Parameter + "=%00",
		"twice":          good + "&" + interaction.Parameter + "=x",
		"with another":   good + "&client_id=x",
		"plain request":  s.URL + "/login?" + with().Encode(),
		"huge":           s.URL + "/login?" + interaction.Parameter + "=" + strings.Repeat("A", 9000),
		"other endpoint": strings.Replace(good, "/login?", "/authorize?", 1),
	} {
		t.Run(name, func(t *testing.T) {
			p := b.Get(u)
			wantPage(t, p, http.StatusForbidden, "forbidden")
			if p.Attr("restart", "href") != "" {
				t.Error("something was believed of a forged seal")
			}
		})
	}
}
