package server_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// cutOffs declare revokeTokensIssuedBefore, each on another object.
var cutOffs = map[string]func(*testing.T, *registry.Issuer, time.Time) *registry.Issuer{
	"issuer": func(_ *testing.T, iss *registry.Issuer, at time.Time) *registry.Issuer {
		changed, config := *iss, *iss.Config
		config.RevokedBefore = registry.Cutoff(at)
		changed.Config = &config
		return &changed
	},
	"client": func(t *testing.T, iss *registry.Issuer, at time.Time) *registry.Issuer {
		c := registrytest.Client(t, iss, registrytest.PrintShop)
		c.RevokedBefore = registry.Cutoff(at)
		return registrytest.WithClient(iss, c)
	},
	"user": func(t *testing.T, iss *registry.Issuer, at time.Time) *registry.Issuer {
		u := registrytest.User(t, iss, registrytest.Alice)
		u.RevokedBefore = registry.Cutoff(at)
		return registrytest.WithUser(iss, u)
	},
}

// What was issued before a cut-off is refused everywhere, and what is issued from then on is good; one that is still to come waits.
func TestRevokeTokensIssuedBefore(t *testing.T) {
	for name, cutOff := range cutOffs {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			code := s.authorize("").Get("code")
			old := s.offline("")
			s.Clock.Advance(5 * time.Second)
			s.Publish(cutOff(t, s.Issuer(""), s.Clock.Now().Truncate(time.Second).Add(5*time.Second)))
			s.wantGoodEverywhere(old, true)
			s.Clock.Advance(5 * time.Second)
			s.wantGoodEverywhere(old, false)
			status, body := s.refresh(s.URL, old["refresh_token"])
			s.wantRefused("a refresh token", status, body, "invalid_grant")
			status, body = s.redeem(s.URL, code)
			s.wantRefused("a code", status, body, "invalid_grant")
			later := s.offline("")
			s.wantGoodEverywhere(later, true)
			if status, body := s.refresh(s.URL, later["refresh_token"]); status != http.StatusOK {
				t.Errorf("a later refresh token: %d %v", status, body)
			}
		})
	}
}

// A session is of a user at an issuer. What a client is refused for it forgets too: the user is asked again.
func TestSessionsBeforeACutOff(t *testing.T) {
	for name, want := range map[string]string{"issuer": "login_required", "user": "login_required", "client": "consent_required"} {
		s := newSite(t)
		b := s.NewBrowser()
		b.Decide(b.SignIn(b.Authorize("", request()), registrytest.Alice, registrytest.AlicePassword), "allow")
		s.Clock.Advance(5 * time.Second)
		s.Publish(cutOffs[name](t, s.Issuer(""), s.Clock.Now()))
		s.Clock.Advance(time.Second)
		if got := b.Authorize("", request("prompt", "none")).Response(t).Get("error"); got != want {
			t.Errorf("cut-off of the %s: %q, want %q", name, got, want)
		}
		consent := b.Authorize("", request())
		if want == "login_required" {
			consent = b.SignIn(consent, registrytest.Alice, registrytest.AlicePassword)
		}
		if b.Decide(consent, "allow").Response(t).Get("code") == "" {
			t.Errorf("cut-off of the %s: no code afterwards", name)
		}
	}
}

// A consent counts no more than the sign-in behind it, and a grant that was cut off is no consent.
func TestConsentBeforeACutOff(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	back := b.Decide(b.SignIn(b.Authorize("", request()), registrytest.Alice, registrytest.AlicePassword), "allow").Response(t)
	if status, body := s.redeem(s.URL, back.Get("code")); status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	if b.Authorize("", request("prompt", "none")).Response(t).Get("code") == "" {
		t.Fatal("the consent is not remembered")
	}
	s.Clock.Advance(5 * time.Second)
	s.Publish(cutOffs["client"](t, s.Issuer(""), s.Clock.Now()))
	s.Clock.Advance(time.Second)
	if got := b.Authorize("", request("prompt", "none")).Response(t).Get("error"); got != "consent_required" {
		t.Errorf("got %q", got)
	}
}

// A client's own tokens end with its cut-off, and those of a client that handed one on.
func TestClientsOwnTokensBeforeACutOff(t *testing.T) {
	s := newSite(t)
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"photos.read"}, "client_id": {registrytest.Nightly}, "client_secret": {registrytest.NightlySecret}}
	_, own := s.token(s.URL, form)
	if !s.review(own["access_token"]) {
		t.Fatal("not good to begin with")
	}
	s.Clock.Advance(5 * time.Second)
	nightly := registrytest.Client(t, s.Issuer(""), registrytest.Nightly)
	nightly.RevokedBefore = registry.Cutoff(s.Clock.Now())
	s.Publish(registrytest.WithClient(s.Issuer(""), nightly))
	if s.review(own["access_token"]) {
		t.Error("still good")
	}
	s.Clock.Advance(time.Second)
	if _, next := s.token(s.URL, form); !s.review(next["access_token"]) {
		t.Error("the next is not good")
	}
}
