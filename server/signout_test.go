package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// silently asks for a code without a page; the answer is a code, or an error.
func silently(t *testing.T, b *servertest.Browser) string {
	t.Helper()
	back := b.Authorize("", request("prompt", "none")).Response(t)
	if back.Has("code") {
		return "code"
	}
	return back.Get("error")
}

// signsOut answers the page that asks whether to sign out.
func (s *site) signsOut(b *servertest.Browser, decision string) {
	s.t.Helper()
	p := b.Get(s.URL + "/logout")
	if p = b.Follow(b.Post(p.Action(s.t), url.Values{"decision": {decision}})); p.Text("signed-out") == "" {
		s.t.Fatalf("%s: %d %s", decision, p.Status, p.Body)
	}
}

// A copy of the session cookie, and a code that was on its way, are worth nothing once the user has signed out, at every replica.
func TestStolenCookieAndCodeAfterSigningOut(t *testing.T) {
	s := newSite(t)
	replica := s.Replica().URL
	b := s.NewBrowser()
	consent := b.SignIn(b.Authorize("", request()), registrytest.Alice, registrytest.AlicePassword)
	pending := b.Decide(consent, "allow").Response(t).Get("code")
	thief := b.Copy()
	if got := silently(t, thief); got != "consent_required" { // nothing was redeemed: nothing is remembered
		t.Fatalf("the copy is not signed in: %s", got)
	}
	s.signsOut(b, "sign-out")
	if got := silently(t, thief); got != "login_required" {
		t.Errorf("with the copied cookie: %s", got)
	}
	status, body := s.redeem(replica, pending)
	s.wantRefused("the code", status, body, "invalid_grant")
	if again := b.SignIn(b.Authorize("", request()), registrytest.Alice, registrytest.AlicePassword); again.Action(t) == "" {
		t.Error("the user can't sign in again")
	}
	if got := silently(t, thief); got != "login_required" {
		t.Errorf("with the copied cookie, after the user signed in again: %s", got)
	}
}

// Everywhere means every browser, and every token and consent, those for when the user is not there too. It is one write.
func TestSignOutEverywhere(t *testing.T) {
	s := newSite(t)
	laptop, phone := s.NewBrowser(), s.NewBrowser()
	offline := s.offline("")
	for _, b := range []*servertest.Browser{laptop, phone} {
		back := b.Decide(b.SignIn(b.Authorize("", request("prompt", "consent")), registrytest.Alice, registrytest.AlicePassword), "allow").Response(t)
		if status, body := s.redeem(s.URL, back.Get("code")); status != http.StatusOK {
			t.Fatalf("%d %v", status, body)
		}
		if got := silently(t, b); got != "code" {
			t.Fatalf("not remembered: %s", got)
		}
	}
	s.Clock.Advance(5 * time.Second)
	s.wantGoodEverywhere(offline, true)
	before := s.Writes.Load()
	s.signsOut(laptop, "sign-out-everywhere")
	if n := s.Writes.Load() - before; n != 1 {
		t.Errorf("%d writes", n)
	}
	s.wantGoodEverywhere(offline, false)
	status, body := s.refresh(s.Replica().URL, offline["refresh_token"])
	s.wantRefused("a refresh token", status, body, "invalid_grant")
	for name, b := range map[string]*servertest.Browser{"laptop": laptop, "phone": phone} {
		if got := silently(t, b); got != "login_required" {
			t.Errorf("the %s: %s", name, got)
		}
	}
	s.Clock.Advance(5 * time.Second)
	page := phone.SignIn(phone.Authorize("", request()), registrytest.Alice, registrytest.AlicePassword)
	if !strings.Contains(page.Body, `value="allow"`) {
		t.Errorf("the consent is remembered: %d %s", page.Status, page.Location())
	}
	s.wantGoodEverywhere(s.offline(""), true)
	if log := s.Log.String(); !strings.Contains(log, `"event":"sign_out"`) || !strings.Contains(log, `"everywhere":true`) {
		t.Error("no audit event")
	}
}

// What another replica granted is over, too, although that one's clock is a little ahead of the one that is told of the sign-out.
func TestSignOutEverywhereWhereTheClockIsBehind(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	b.SignIn(b.Authorize("", request()), registrytest.Alice, registrytest.AlicePassword)
	s.Clock.Advance(4 * time.Second)
	offline := s.offline("")
	s.Clock.Advance(-4 * time.Second)
	s.wantGoodEverywhere(offline, true)
	s.signsOut(b, "sign-out-everywhere")
	s.wantGoodEverywhere(offline, false)
	status, body := s.refresh(s.Replica().URL, offline["refresh_token"])
	s.wantRefused("a refresh token", status, body, "invalid_grant")
}

// What others have at the issuer goes on.
func TestSignOutEverywhereIsOfOneUser(t *testing.T) {
	s := newSite(t, "", "/team")
	other := s.offline("/team")
	b := s.NewBrowser()
	b.Decide(b.SignIn(b.Authorize("", request()), registrytest.Alice, registrytest.AlicePassword), "allow")
	bob := s.NewBrowser()
	bob.SignIn(bob.Authorize("", request()), registrytest.Bob, registrytest.BobPassword)
	s.signsOut(b, "sign-out-everywhere")
	if got := silently(t, bob); got != "consent_required" {
		t.Errorf("another user: %s", got)
	}
	if p := s.userinfo(s.Issuer("/team").URL, other["access_token"]); p.StatusCode != http.StatusOK {
		t.Errorf("the same user at another issuer: %s", p.Status)
	}
}
