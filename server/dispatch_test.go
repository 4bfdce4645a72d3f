package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// ask sends a request with a Host header of its own.
func (s *site) ask(method, path, host string, header ...string) page {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.https.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.read(s.https.Client().Transport.RoundTrip(r))
}

func issuerIn(t *testing.T, p page) string {
	t.Helper()
	var metadata struct{ Issuer string }
	if err := json.Unmarshal([]byte(p.body), &metadata); err != nil {
		t.Fatalf("%s: %v in %q", p.Status, err, p.body)
	}
	return metadata.Issuer
}

func TestDiscoveryAtEveryWellKnownForm(t *testing.T) {
	s := newSite(t)
	team := registrytest.Issuer(t, s.https.URL+"/team/a", time.Now())
	s.publish(s.issuer, team)
	for path, want := range map[string]string{
		"/.well-known/openid-configuration":              s.issuer.URL,
		"/.well-known/oauth-authorization-server":        s.issuer.URL,
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
	if got := issuerIn(t, s.ask(http.MethodGet, "/.well-known/openid-configuration", "evil.example", spoofed...)); got != s.issuer.URL {
		t.Errorf("speaks for %s", got)
	}
	other := registrytest.Issuer(t, "https://other.example", time.Now())
	s.publish(s.issuer, other)
	if got := issuerIn(t, s.ask(http.MethodGet, "/.well-known/openid-configuration", "other.example")); got != other.URL {
		t.Errorf("host other.example is answered by %s", got)
	}
	p := s.ask(http.MethodGet, "/.well-known/openid-configuration", "evil.example", "X-Forwarded-Host", "other.example")
	if p.StatusCode != http.StatusNotFound || strings.Contains(p.body, "evil.example") {
		t.Errorf("an unknown host: %s %s", p.Status, p.body)
	}
}

func TestIssuersOfOneProcessAreApart(t *testing.T) {
	s := newSite(t)
	team := registrytest.Issuer(t, s.https.URL+"/team", time.Now())
	s.publish(s.issuer, team)
	back := s.authorize(team.URL, request())
	if back.Get("iss") != team.URL {
		t.Fatalf("iss %q", back.Get("iss"))
	}
	if status, body := s.redeem(s.issuer.URL, back.Get("code")); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("a code of one issuer at another: %d %v", status, body)
	}
	status, tokens := s.redeem(team.URL, back.Get("code"))
	if status != http.StatusOK {
		t.Fatal(tokens)
	}
	access := tokens["access_token"].(string)
	if p := s.userinfo(team.URL, access); p.StatusCode != http.StatusOK {
		t.Errorf("at its own issuer: %s %s", p.Status, p.body)
	}
	if p := s.userinfo(s.issuer.URL, access); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token of one issuer at another: %s", p.Status)
	}
}

func TestSessionOfOneIssuerAtAnother(t *testing.T) {
	s := newSite(t)
	team := registrytest.Issuer(t, s.https.URL+"/team", time.Now())
	s.publish(s.issuer, team)
	b := s.browser()
	login := s.read(b.Get(s.issuer.URL + "/authorize?" + request().Encode()))
	s.submit(b, login, "username", registrytest.Alice, "password", registrytest.AlicePassword)
	if p := s.read(b.Get(team.URL + "/authorize?" + request().Encode())); !strings.Contains(p.body, `id="sign-in"`) {
		t.Errorf("signed in at another issuer too: %s\n%s", p.Status, p.body)
	}
	// The cookie's value under the other issuer's name is refused as well: the seal is bound to the issuer.
	site, err := url.Parse(s.https.URL)
	if err != nil {
		t.Fatal(err)
	}
	var names, values []string
	for _, c := range b.Jar.Cookies(site) {
		names, values = append(names, c.Name), append(values, c.Value)
	}
	for _, name := range names {
		for _, value := range values {
			b.Jar.SetCookies(site, []*http.Cookie{{Name: name, Value: value, Secure: true, Path: "/"}})
			if p := s.read(b.Get(team.URL + "/authorize?" + request("prompt", "none").Encode())); p.StatusCode == http.StatusSeeOther && strings.Contains(p.Header.Get("Location"), "code=") {
				t.Error("a session was carried over")
			}
		}
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
	for _, path := range []string{"/token", "/userinfo", "/jwks", "/.well-known/openid-configuration"} {
		p := s.ask(http.MethodOptions, path, "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
		if p.StatusCode != http.StatusNoContent || p.Header.Get("Access-Control-Allow-Origin") != "*" || p.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight of %s: %s %v", path, p.Status, p.Header)
		}
	}
	for _, path := range []string{"/authorize", "/login", "/consent"} {
		if p := s.ask(http.MethodGet, path, "", "Origin", "https://app.example"); p.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is readable for other origins", path)
		}
	}
}

func TestOversizedInput(t *testing.T) {
	s := newSite(t)
	body := "grant_type=" + strings.Repeat("x", 128<<10)
	p := s.read(s.https.Client().Post(s.issuer.URL+"/token", "application/x-www-form-urlencoded", strings.NewReader(body)))
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
	s.holder.Store(nil)
	p := s.ask(http.MethodGet, "/jwks", "")
	if p.StatusCode != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", p.Status, p.Header)
	}
	s.holder.Store(registry.NewSnapshot(nil))
	if p := s.ask(http.MethodGet, "/jwks", ""); p.StatusCode != http.StatusNotFound {
		t.Errorf("without issuers: %s", p.Status)
	}
}

func TestErrorPagesWithoutIssuerHaveAStylesheet(t *testing.T) {
	s := newSite(t)
	s.publish(registrytest.Issuer(t, s.https.URL+"/team", time.Now()))
	p := s.ask(http.MethodGet, "/nothing", "")
	sheet := regexp.MustCompile(`href="(/assets/[^"]+\.css)"`).FindStringSubmatch(p.body)
	if p.StatusCode != http.StatusNotFound || sheet == nil {
		t.Fatalf("%s\n%s", p.Status, p.body)
	}
	if p := s.ask(http.MethodGet, sheet[1], ""); p.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", sheet[1], p.Status)
	}
}
