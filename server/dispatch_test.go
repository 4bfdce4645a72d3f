package server_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func issuerIn(t *testing.T, p reply) string {
	t.Helper()
	var metadata struct{ Issuer string }
	if err := json.Unmarshal([]byte(p.body), &metadata); err != nil {
		t.Fatalf("%s: %v in %q", p.Status, err, p.body)
	}
	return metadata.Issuer
}

func TestDiscoveryAtEveryWellKnownForm(t *testing.T) {
	s := newSite(t, "", "/team/a")
	team := s.Issuer("/team/a")
	for path, want := range map[string]string{
		"/.well-known/openid-configuration":              s.URL,
		"/.well-known/oauth-authorization-server":        s.URL,
		"/team/a/.well-known/openid-configuration":       team.URL,
		"/.well-known/openid-configuration/team/a":       team.URL,
		"/.well-known/oauth-authorization-server/team/a": team.URL,
	} {
		if got := issuerIn(t, s.ask(http.MethodGet, path, "")); got != want {
			t.Errorf("%s: issuer %s, want %s", path, got, want)
		}
	}
}

func TestHostSpoofing(t *testing.T) {
	s := newSite(t)
	spoofed := []string{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "Forwarded", "host=evil.example"}
	if got := issuerIn(t, s.ask(http.MethodGet, "/.well-known/openid-configuration", "evil.example", spoofed...)); got != s.URL {
		t.Errorf("speaks for %s", got)
	}
	other := registrytest.Issuer(t, "https://other.example", s.Clock.Now())
	s.publish(s.Issuer(""), other)
	if got := issuerIn(t, s.ask(http.MethodGet, "/.well-known/openid-configuration", "other.example")); got != other.URL {
		t.Errorf("host other.example is answered by %s", got)
	}
	p := s.ask(http.MethodGet, "/.well-known/openid-configuration", "evil.example", "X-Forwarded-Host", "other.example")
	if p.StatusCode != http.StatusNotFound || strings.Contains(p.body, "evil.example") {
		t.Errorf("an unknown host: %s %s", p.Status, p.body)
	}
}

func TestIssuersOfOneProcessAreApart(t *testing.T) {
	s := newSite(t, "", "/team")
	team := s.Issuer("/team")
	back := s.authorize("/team")
	if back.Get("iss") != team.URL {
		t.Fatalf("iss %q", back.Get("iss"))
	}
	if status, body := s.redeem(s.URL, back.Get("code")); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("a code of one issuer at another: %d %v", status, body)
	}
	status, tokens := s.redeem(team.URL, back.Get("code"))
	if status != http.StatusOK {
		t.Fatal(tokens)
	}
	access := tokens["access_token"]
	if p := s.userinfo(team.URL, access); p.StatusCode != http.StatusOK {
		t.Errorf("at its own issuer: %s %s", p.Status, p.body)
	}
	if p := s.userinfo(s.URL, access); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token of one issuer at another: %s", p.Status)
	}
}

func TestUnknownAddressesAndMethods(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/nothing", http.StatusNotFound},
		{http.MethodGet, "/team/authorize", http.StatusNotFound},
		{http.MethodGet, "/.well-known/openid-configuration/team", http.StatusNotFound},
		{http.MethodGet, "/.well-known/", http.StatusNotFound},
		{http.MethodGet, "//authorize", http.StatusNotFound},
		{http.MethodGet, "/assets/none.css", http.StatusNotFound},
		{http.MethodGet, "/token", http.StatusMethodNotAllowed},
		{http.MethodPut, "/authorize", http.StatusMethodNotAllowed},
		{http.MethodPost, "/jwks", http.StatusMethodNotAllowed},
		{http.MethodHead, "/jwks", http.StatusOK},
	} {
		if p := s.ask(c.method, c.path, ""); p.StatusCode != c.status {
			t.Errorf("%s %s: %s, want %d", c.method, c.path, p.Status, c.status)
		}
	}
}

func TestScriptsOfOtherOriginsReachAPIsAndNeverPages(t *testing.T) {
	s := newSite(t)
	preflight := []string{"Origin", "https://app.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"}
	for _, path := range []string{
		"/token", "/revoke", "/userinfo", "/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/device_authorization",
	} {
		p := s.ask(http.MethodOptions, path, "", preflight...)
		if p.StatusCode != http.StatusNoContent || p.Header.Get("Access-Control-Allow-Origin") != "*" || p.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight of %s: %s %v", path, p.Status, p.Header)
		}
	}
	for _, path := range []string{"/authorize", "/login", "/consent", "/device", "/logout", "/introspect"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			p := s.ask(method, path, "", preflight...)
			if p.StatusCode == http.StatusNotFound || p.StatusCode == http.StatusNoContent || p.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s is readable for other origins: %s", method, path, p.Status)
			}
		}
	}
}

// What is kept and shown to others says to each of them that it may be read. What is kept by nobody says so to scripts.
func TestOnlyScriptsAreToldThatTheyMayRead(t *testing.T) {
	s := newSite(t)
	for path, always := range map[string]bool{"/jwks": true, "/.well-known/openid-configuration": true, "/userinfo": false, "/token": false} {
		script, other := s.ask(http.MethodGet, path, "", "Origin", "https://app.example"), s.ask(http.MethodGet, path, "")
		if script.Header.Get("Access-Control-Allow-Origin") != "*" || script.Header.Get("Access-Control-Expose-Headers") == "" {
			t.Errorf("%s tells a script %v", path, script.Header)
		}
		if told := other.Header.Get("Access-Control-Allow-Origin") != ""; told != always {
			t.Errorf("%s tells whoever is no script %v", path, other.Header)
		}
	}
}

func TestOversizedInput(t *testing.T) {
	s := newSite(t)
	body := "grant_type=" + strings.Repeat("x", 128<<10)
	r := s.newRequest(http.MethodPost, s.URL+"/token", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	p := s.send(r)
	if p.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 128 KiB: %s", p.Status)
	}
	p = s.ask(http.MethodGet, "/authorize?"+request("state", strings.Repeat("s", 8<<10)).Encode(), "")
	if p.StatusCode != http.StatusBadRequest || len(p.body) > 64<<10 {
		t.Errorf("a state of 8 KiB: %s, %d bytes", p.Status, len(p.body))
	}
}

func TestBeforeTheFirstSnapshot(t *testing.T) {
	s := newSite(t)
	s.Holder.Store(nil)
	p := s.ask(http.MethodGet, "/jwks", "")
	if p.StatusCode != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", p.Status, p.Header)
	}
	for path, want := range map[string]string{"/token": "application/json", "/userinfo": "application/json", "/authorize": "text/html; charset=utf-8"} {
		p := s.ask(http.MethodPost, path, "")
		if p.StatusCode != http.StatusServiceUnavailable || p.Header.Get("Content-Type") != want {
			t.Errorf("%s: %s %s, want %s", path, p.Status, p.Header.Get("Content-Type"), want)
		}
		if sheet := regexp.MustCompile(`/assets/style[^"]*`).FindString(p.body); sheet != "" && s.ask(http.MethodGet, sheet, "").StatusCode != http.StatusOK {
			t.Errorf("%s: the page has no stylesheet", path)
		}
	}
	s.Holder.Store(registry.NewSnapshot(nil))
	if p := s.ask(http.MethodGet, "/jwks", ""); p.StatusCode != http.StatusNotFound {
		t.Errorf("without issuers: %s", p.Status)
	}
}

func TestErrorPagesWithoutIssuerHaveAStylesheet(t *testing.T) {
	s := newSite(t, "", "/team")
	s.publish(s.Issuer("/team"))
	p := s.ask(http.MethodGet, "/nothing", "")
	sheet := regexp.MustCompile(`href="(/assets/[^"]+\.css)"`).FindStringSubmatch(p.body)
	if p.StatusCode != http.StatusNotFound || sheet == nil {
		t.Fatalf("%s\n%s", p.Status, p.body)
	}
	if p := s.ask(http.MethodGet, sheet[1], ""); p.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", sheet[1], p.Status)
	}
}

// A panic is answered as a failure that tells nothing, and is one entry of the log, with the stack.
func TestPanicIsAServerError(t *testing.T) {
	s := newSite(t)
	broken := *s.Issuer("")
	broken.Keys = nil
	s.publish(&broken)
	p := s.ask(http.MethodGet, "/jwks", "")
	if p.StatusCode != http.StatusInternalServerError || !strings.Contains(p.body, `"server_error"`) || strings.Contains(p.body, "panic") {
		t.Errorf("%s: %s", p.Status, p.body)
	}
	if log := s.Log.String(); strings.Count(log, `"level":"ERROR"`) != 1 || !strings.Contains(log, "dispatch.go") {
		t.Errorf("the log is %s", log)
	}
}
