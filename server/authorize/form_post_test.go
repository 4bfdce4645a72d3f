package authorize_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// posted is what the page's form would post to the client.
func posted(t *testing.T, p *servertest.Page) url.Values {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil || p.Status != http.StatusOK || p.Location() != "" || p.Attr("form-post", "action") != registrytest.PrintShopRedirect {
		t.Fatalf("no form for the client: %d %q %s", p.Status, p.Location(), p.Body)
	}
	fields := url.Values{}
	for n := range doc.Descendants() {
		var name, value string
		for _, a := range n.Attr {
			switch a.Key {
			case "name":
				name = a.Val
			case "value":
				value = a.Val
			}
		}
		if n.Data == "input" {
			fields.Add(name, value)
		}
	}
	return fields
}

// A code comes by form_post, after the same steps, and can be redeemed (OAuth 2.0 Form Post Response Mode).
func TestFormPostResponse(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	const state = `a b&c=d"'><é+%41`
	p := b.Decide(signIn(b, b.Authorize("", with("response_mode", "form_post", "state", state))), "allow")
	got := posted(t, p)
	if len(got) != 3 || got.Get("state") != state || got.Get("iss") != s.URL {
		t.Errorf("posted %v", got)
	}
	redeem(t, s, got.Get("code"))
	if csp := p.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action https://print.example;") || !strings.Contains(csp, "script-src 'self';") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP %q", csp)
	}
	for header, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Access-Control-Allow-Origin": "",
	} {
		if got := p.Header.Get(header); got != want {
			t.Errorf("%s %q, want %q", header, got, want)
		}
	}
	got = posted(t, b.Follow(b.Post(s.URL+"/authorize", with("response_mode", "form_post", "prompt", "none"))))
	if got.Get("code") == "" {
		t.Errorf("a posted request: %v", got)
	}
}

// Errors go the same way, with no trace in the address.
func TestFormPostErrors(t *testing.T) {
	s := servertest.Start(t)
	object := "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(`{"response_mode":"form_post","state":"state-1","redirect_uri":"https://evil.example"}`)) + "."
	for name, tc := range map[string]struct {
		change []string
		want   string
	}{
		"nobody signed in":                     {[]string{"response_mode", "form_post", "prompt", "none"}, "login_required"},
		"no response_type":                     {[]string{"response_mode", "form_post", "response_type", ""}, "invalid_request"},
		"implicit":                             {[]string{"response_mode", "form_post", "response_type", "token"}, "unsupported_response_type"},
		"bad scope":                            {[]string{"response_mode", "form_post", "scope", "orders.write"}, "invalid_scope"},
		"a request object":                     {[]string{"response_mode", "form_post", "request", "e30.e30."}, "request_not_supported"},
		"a request object that says form_post": {[]string{"state", "", "request", object}, "request_not_supported"},
	} {
		t.Run(name, func(t *testing.T) {
			got := posted(t, s.NewBrowser().Authorize("", with(tc.change...)))
			if got.Get("error") != tc.want || got.Get("state") != "state-1" || got.Get("iss") != s.URL || got.Has("code") || len(got) != 4 {
				t.Errorf("posted %v, want %s", got, tc.want)
			}
		})
	}
	b := s.NewBrowser()
	if got := posted(t, b.Decide(signIn(b, b.Authorize("", with("response_mode", "form_post"))), "deny")); got.Get("error") != "access_denied" {
		t.Errorf("denied: %v", got)
	}
	wantPage(t, b.Authorize("", with("response_mode", "form_post", "redirect_uri", "https://evil.example")), http.StatusBadRequest, "invalid_request")
	if got := b.Authorize("", with("response_mode", "fragment")).Response(t).Get("error"); got != "invalid_request" {
		t.Errorf("fragment: %s", got)
	}
}

// Row: XSS via state.
func TestXSSOnFormPost(t *testing.T) {
	s := servertest.Start(t)
	for _, evil := range []string{`"><script>alert(1)</script>`, `' onfocus=alert(1) autofocus='`, `</form><form action="https://evil.example">`} {
		p := s.NewBrowser().Authorize("", with("response_mode", "form_post", "prompt", "none", "state", evil))
		if got := posted(t, p); got.Get("state") != evil {
			t.Errorf("state %q", got.Get("state"))
		}
		if strings.Count(p.Body, "<script") != 1 || strings.Count(p.Body, "<form") != 1 || strings.Contains(p.Body, evil) {
			t.Errorf("not escaped: %s", p.Body)
		}
	}
}
