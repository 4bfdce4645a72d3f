package device_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// RFC 8628 section 3.2.
func TestDeviceAuthorizationResponse(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	userCode := a.text("user_code")
	want := map[string]any{
		"verification_uri": s.URL + "/device", "verification_uri_complete": s.URL + "/device?user_code=" + userCode,
		"expires_in": 600.0, "interval": 5.0, "user_code": userCode, "device_code": a.text("device_code"),
	}
	for name, value := range want {
		if a.body[name] != value {
			t.Errorf("%s is %v, want %v", name, a.body[name], value)
		}
	}
	if len(a.body) != len(want) || len(userCode) != 9 || userCode[4] != '-' || len(a.text("device_code")) < 64 {
		t.Errorf("%v", a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.header.Get("Cache-Control"))
	}
	if again := s.begun(registrytest.PrintShop); again.text("user_code") == userCode || again.text("device_code") == a.text("device_code") {
		t.Error("a code was given twice")
	}
}

// What is refused is not written down.
func TestDeviceAuthorizationRefused(t *testing.T) {
	s := newSite(t)
	for name, tc := range map[string]struct {
		form   url.Values
		want   oauth.Code
		change func(*registry.Client)
	}{
		"no client":                   {form: url.Values{"scope": {"openid"}}, want: oauth.InvalidClient},
		"unknown client":              {form: credentials("demo.nobody"), want: oauth.InvalidClient},
		"wrong secret":                {form: url.Values{"client_id": {registrytest.PrintShop}, "client_secret": {"wrong"}}, want: oauth.InvalidClient},
		"no secret":                   {form: url.Values{"client_id": {registrytest.PrintShop}}, want: oauth.InvalidClient},
		"scope not allowed by owner":  {form: credentials(registrytest.PrintShop, "scope", "orders.write"), want: oauth.InvalidScope},
		"scope not well-formed":       {form: credentials(registrytest.PrintShop, "scope", "openid \""), want: oauth.InvalidScope},
		"unknown resource":            {form: credentials(registrytest.PrintShop, "scope", "photos.read", "resource", "https://elsewhere.example"), want: oauth.InvalidTarget},
		"scopes of several resources": {form: credentials(registrytest.PrintShop, "scope", "photos.read orders.read"), want: oauth.InvalidTarget},
		"parameter twice":             {form: credentials(registrytest.PrintShop, "scope", "openid", "scope", "email"), want: oauth.InvalidRequest},
		"grant type not declared": {form: credentials(registrytest.PrintShop, "scope", "openid"), want: oauth.UnauthorizedClient,
			change: func(c *registry.Client) { c.GrantTypes = []string{oauth.GrantAuthorizationCode} }},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Issuer("")
			defer s.Publish(before)
			if tc.change != nil {
				s.change(registrytest.PrintShop, tc.change)
			}
			wantError(t, s.post(s.URL+"/device_authorization", tc.form), tc.want)
		})
	}
	wantError(t, s.post(s.URL+"/device_authorization?scope=openid", credentials(registrytest.PrintShop)), oauth.InvalidRequest)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/device_authorization", nil)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, s.send(r), oauth.MethodNotAllowed)
	if n := s.Writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// Row: anonymous flood of /device → nothing is written.
func TestAnonymousFloodOfDevice(t *testing.T) {
	s := newSite(t)
	for range 50 {
		s.post(s.URL+"/device_authorization", url.Values{"client_id": {registrytest.PrintShop}, "client_secret": {"guess"}, "scope": {"openid"}})
		s.poll(s.URL, registrytest.PrintShop, "forged")
		b := s.NewBrowser()
		enter(b, "BCDF-GHJK")
		b.Post(s.URL+"/device", url.Values{"user_code": {"BCDF-GHJK"}})
		b.Post(s.URL+"/device", url.Values{"decision": {"allow"}})
	}
	if n := s.Writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// Row: what a client may have waiting is capped, however many ask at once, and for that client alone.
func TestPendingIsCappedPerClient(t *testing.T) {
	s := newSite(t)
	var created, refused atomic.Int64
	var wg sync.WaitGroup
	for range 130 {
		wg.Go(func() {
			switch a := s.begin(registrytest.PrintShop, "scope", "openid"); {
			case a.status == http.StatusOK:
				created.Add(1)
			case a.status == http.StatusServiceUnavailable && a.text("error") == string(oauth.TemporarilyUnavailable):
				refused.Add(1)
			default:
				t.Errorf("%d %v", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if created.Load() != 100 || refused.Load() != 30 || s.Writes.Load() != 100 {
		t.Errorf("%d were taken, %d refused, with %d writes; want 100 taken", created.Load(), refused.Load(), s.Writes.Load())
	}
	a := s.begin(registrytest.PrintShop)
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 5 {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	s.begun(registrytest.Native, "scope", "openid")
	s.Clock.Advance(10*time.Minute + time.Second)
	s.begun(registrytest.PrintShop) // they have expired
	wantNoAlarm(t, s)
}

// wantNoAlarm: who is sent away for a while is in the audit, and no failure of ours.
func wantNoAlarm(t *testing.T, s *site) {
	t.Helper()
	if log := s.Log.String(); strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, `"event":"device_refused"`) {
		t.Errorf("the log says %s", log)
	}
}

// A request that a user has decided waits no more.
func TestDecidedRequestsDoNotCount(t *testing.T) {
	s := newSite(t)
	first := s.begun(registrytest.PrintShop)
	for range 99 {
		s.begun(registrytest.PrintShop)
	}
	wantError(t, s.begin(registrytest.PrintShop), oauth.TemporarilyUnavailable)
	s.decide(first.text("user_code"), "deny")
	s.begun(registrytest.PrintShop)
	wantError(t, s.begin(registrytest.PrintShop), oauth.TemporarilyUnavailable)
}

// Anybody may know the client_id of a public client: from one address it is taken for 30 requests, and then one every 20 seconds.
func TestPublicClientsAreLimitedBySource(t *testing.T) {
	s := newSite(t)
	for range 30 {
		s.begun(registrytest.Native, "scope", "openid")
	}
	before := s.Writes.Load()
	a := s.begin(registrytest.Native, "scope", "openid")
	if a.text("error") != string(oauth.TemporarilyUnavailable) || a.status != http.StatusTooManyRequests {
		t.Errorf("got %d %v", a.status, a.body)
	}
	if a.header.Get("Retry-After") != "20" || s.Writes.Load() != before {
		t.Errorf("Retry-After %q, %d writes", a.header.Get("Retry-After"), s.Writes.Load()-before)
	}
	s.begun(registrytest.PrintShop) // which proves who it is
	s.Clock.Advance(20 * time.Second)
	s.begun(registrytest.Native, "scope", "openid")
	if a := s.begin(registrytest.Native, "scope", "openid"); a.status != http.StatusTooManyRequests {
		t.Errorf("got %d %v", a.status, a.body)
	}
	wantNoAlarm(t, s)
}

// Row: secrets in logs: never. A user code is one for as long as it lives.
func TestNoDeviceSecretsInLog(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	s.decide(a.text("user_code"), "allow")
	tokens := s.poll(s.URL, registrytest.PrintShop, a.text("device_code"))
	s.poll(s.URL, registrytest.PrintShop, a.text("device_code"))
	enter(s.signedIn(), a.text("user_code")) // which is used
	log := s.Log.String()
	for name, secret := range map[string]string{
		"device code": a.text("device_code"), "user code": a.text("user_code"), "plain user code": strings.ReplaceAll(a.text("user_code"), "-", ""),
		"name of the authorization": s.Issuer("").Keys.UserCodeID(strings.ReplaceAll(a.text("user_code"), "-", "")),
		"access token":              tokens.text("access_token"), "client secret": registrytest.PrintShopSecret,
	} {
		if secret == "" || strings.Contains(log, secret) {
			t.Errorf("the log holds the %s", name)
		}
	}
	for _, event := range []string{"device_requested", "device_decision", "sign_in", "token_issued", "token_refused", "grant_revoked"} {
		if !strings.Contains(log, `"event":"`+event+`"`) {
			t.Errorf("no audit event %s", event)
		}
	}
}
