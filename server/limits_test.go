package server_test

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/loglimit"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// limited is a site with small limits, behind a proxy on loopback, so that tests come from where they want.
func limited(t *testing.T, rates limit.Rates) *site {
	t.Helper()
	return &site{servertest.StartWith(t, func(c *server.Config) {
		c.Limits, c.TrustedProxies = rates, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}), t}
}

// three requests at once, and one in ten seconds.
func three() limit.Rate { return limit.Rate{PerSecond: 0.1, Burst: 3} }

// from sends a form from an address; user and secret are for HTTP Basic where there are any.
func (s *site) from(address, path, user, secret string, form url.Values) reply {
	s.t.Helper()
	r := s.newRequest(http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", oauth.FormMediaType)
	r.Header.Set("X-Forwarded-For", address)
	if user != "" {
		r.SetBasicAuth(user, secret)
	}
	return s.send(r)
}

func wantWait(t *testing.T, p reply, code string) {
	t.Helper()
	if p.StatusCode != http.StatusTooManyRequests || p.Header.Get("Retry-After") != "10" || !strings.Contains(p.body, code) {
		t.Errorf("%s, Retry-After %q: %s; want 429 %s", p.Status, p.Header.Get("Retry-After"), p.body, code)
	}
}

const here, elsewhere = "198.51.100.1", "198.51.100.2"

func ownTokens() url.Values {
	return url.Values{"grant_type": {oauth.GrantClientCredentials}, "resource": {registrytest.Photos}}
}

// Rows: anonymous flood; password guessing: whoever fails to prove himself, at any endpoint, waits. Who proves himself does not, from the
// same address either.
func TestUnprovenRequestsAreLimitedBySource(t *testing.T) {
	for _, path := range []string{"/token", "/device_authorization", "/introspect", "/revoke", "/userinfo"} {
		t.Run(path, func(t *testing.T) {
			s := limited(t, limit.Rates{Unproven: three()})
			forged := func(address string) reply {
				if path != "/userinfo" {
					return s.from(address, path, registrytest.Nightly, "guessed", ownTokens())
				}
				return s.from(address, path, "", "", url.Values{"access_token": {"forged"}})
			}
			for range 3 {
				if p := forged(here); p.StatusCode != http.StatusUnauthorized {
					t.Fatal(p.Status, p.body)
				}
			}
			p := forged(here)
			wantWait(t, p, "temporarily_unavailable")
			if p.Header.Get("WWW-Authenticate") != "" {
				t.Error("a challenge to try again at once")
			}
			if p := forged(elsewhere); p.StatusCode != http.StatusUnauthorized {
				t.Errorf("one source pays for another: %s", p.Status)
			}
			if p := s.from(here, "/token", registrytest.Nightly, registrytest.NightlySecret, ownTokens()); p.StatusCode != http.StatusOK {
				t.Errorf("a client that proves itself is locked out by its neighbour: %s %s", p.Status, p.body)
			}
			s.Clock.Advance(10 * time.Second)
			if p := forged(here); p.StatusCode != http.StatusUnauthorized {
				t.Errorf("later: %s", p.Status)
			}
		})
	}
}

// A client's own budget is for what it has proven to be its own: strangers can't use it up, wherever they are.
func TestClientsAreLimitedAndNobodyLocksThemOut(t *testing.T) {
	for _, path := range []string{"/token", "/device_authorization", "/introspect", "/revoke"} {
		t.Run(path, func(t *testing.T) {
			s := limited(t, limit.Rates{Client: three()})
			form := url.Values{"token": {"x"}, "grant_type": {oauth.GrantClientCredentials}}
			for range 20 {
				s.from(here, path, registrytest.Nightly, "guessed", form)
				s.from(here, path, "", "", url.Values{"client_id": {registrytest.Nightly}})
			}
			for i := range 3 {
				if p := s.from(here, path, registrytest.Nightly, registrytest.NightlySecret, form); p.StatusCode == http.StatusTooManyRequests {
					t.Fatalf("request %d: strangers have used it up", i+1)
				}
			}
			wantWait(t, s.from(elsewhere, path, registrytest.Nightly, registrytest.NightlySecret, form), "temporarily_unavailable")
			if p := s.from(here, path, registrytest.PrintShop, registrytest.PrintShopSecret, form); p.StatusCode == http.StatusTooManyRequests {
				t.Error("one client pays for another")
			}
		})
	}
}

// Whoever knows the client_id of a public client uses up what he may do from where he is, and no more. Devices are told to slow down.
func TestPublicClientsAreLimitedByClientAndSource(t *testing.T) {
	s := limited(t, limit.Rates{Public: three()})
	refresh := url.Values{"grant_type": {oauth.GrantRefreshToken}, "refresh_token": {"forged"}, "client_id": {registrytest.Native}}
	for range 3 {
		if p := s.from(here, "/token", "", "", refresh); p.StatusCode != http.StatusBadRequest {
			t.Fatal(p.Status, p.body)
		}
	}
	wantWait(t, s.from(here, "/token", "", "", refresh), "temporarily_unavailable")
	wantWait(t, s.from(here, "/device_authorization", "", "", refresh), "temporarily_unavailable")
	poll := url.Values{"grant_type": {oauth.GrantDeviceCode}, "device_code": {"forged"}, "client_id": {registrytest.Native}}
	if p := s.from(here, "/token", "", "", poll); p.StatusCode != http.StatusBadRequest || !strings.Contains(p.body, "slow_down") || p.Header.Get("Retry-After") != "10" {
		t.Errorf("a device: %s %v %s", p.Status, p.Header, p.body)
	}
	if p := s.from(elsewhere, "/token", "", "", refresh); p.StatusCode != http.StatusBadRequest {
		t.Errorf("one source pays for another: %s", p.Status)
	}
}

// Row: anonymous flood of pages.
func TestPagesAreLimitedBySource(t *testing.T) {
	for _, path := range []string{"/authorize", "/login", "/consent", "/device", "/logout"} {
		t.Run(path, func(t *testing.T) {
			s := limited(t, limit.Rates{Page: three()})
			get := func(address string) reply { return s.ask(http.MethodGet, path, "", "X-Forwarded-For", address) }
			for range 3 {
				if p := get(here); p.StatusCode == http.StatusTooManyRequests {
					t.Fatal(p.Status)
				}
			}
			p := get(here)
			wantWait(t, p, "<html")
			if p := get(elsewhere); p.StatusCode == http.StatusTooManyRequests {
				t.Error("one source pays for another")
			}
			if p := s.ask(http.MethodGet, "/jwks", "", "X-Forwarded-For", here); p.StatusCode != http.StatusOK {
				t.Errorf("keys: %s", p.Status)
			}
		})
	}
}

// Row: X-Forwarded-* spoofing: whoever is no trusted proxy is limited by his own address, whatever he writes.
func TestLimitsGoByTheSourceThatProxiesTell(t *testing.T) {
	s := &site{servertest.StartWith(t, func(c *server.Config) { c.Limits = limit.Rates{Page: three()} }), t}
	for _, claimed := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"} {
		s.ask(http.MethodGet, "/authorize", "", "X-Forwarded-For", claimed)
	}
	wantWait(t, s.ask(http.MethodGet, "/authorize", "", "X-Forwarded-For", "198.51.100.4"), "<html")
}

// Row: anonymous flood: nothing is stored, and little is logged, of whatever strangers send from wherever.
func TestAnonymousFloodLeavesLittle(t *testing.T) {
	leftOut := 0
	s := &site{servertest.StartWith(t, func(c *server.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.Logger = slog.New(loglimit.New(c.Logger.Handler(), c.Now, func() { leftOut++ }))
	}), t}
	const rounds = 400
	for i := range rounds {
		address := []string{here, elsewhere, "2001:db8::1"}[i%3]
		s.from(address, "/token", registrytest.PrintShop, "guess", ownTokens())
		s.from(address, "/token", "", "", url.Values{"grant_type": {oauth.GrantAuthorizationCode}, "client_id": {registrytest.Native}, "code": {"forged"}})
		s.from(address, "/device_authorization", "nobody", "guess", nil)
		s.from(address, "/introspect", "nobody", "guess", url.Values{"token": {"forged"}})
		s.from(address, "/revoke", "nobody", "guess", url.Values{"token": {"forged"}})
		s.from(address, "/userinfo", "", "", url.Values{"access_token": {"forged"}})
	}
	if n := s.Writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
	log := s.Log.String()
	if n := strings.Count(log, "\n"); n > 4*3*60 { // four kinds of refusals, of three networks, 60 at once
		t.Errorf("%d lines are logged", n)
	}
	if written := strings.Count(log, `"msg":"audit"`); written+leftOut < 5*rounds {
		t.Errorf("of %d refusals %d are logged and %d left out", 5*rounds, written, leftOut)
	}
}
