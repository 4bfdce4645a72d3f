package authorize_test

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// What went through before goes through again without a search among the user's grants; what asks for more, or in another browser, does not.
func TestTheGrantThatWasEnoughIsLookedAtFirst(t *testing.T) {
	s := servertest.Start(t)
	b, other := s.NewBrowser(), s.NewBrowser()
	approve(t, b, with())
	opened(t, s, b.Authorize("", with()))
	signIn(other, other.Authorize("", with("prompt", "login")))
	s.Outage.Store(true) // of searches
	opened(t, s, b.Authorize("", with("prompt", "none")))
	for name, p := range map[string]*servertest.Page{
		"for more":           b.Authorize("", with("prompt", "none", "scope", "openid email")),
		"in another session": other.Authorize("", with("prompt", "none")),
	} {
		if got := p.Response(t).Get("error"); got != "temporarily_unavailable" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// It is looked at as it is, each time.
func TestTheGrantThatWasEnoughIsNoMore(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *servertest.Server){
		"revoked": revokeAll,
		"deleted": func(t *testing.T, s *servertest.Server) {
			for _, g := range grants(t, s) {
				if err := s.Grants.Delete(t.Context(), g.ID); err != nil {
					t.Fatal(err)
				}
			}
		},
		"of a client that was created again": func(t *testing.T, s *servertest.Server) {
			change(t, s, func(c *registry.Client) { c.UID = "uid-created-again" })
		},
		"of a client whose tokens were revoked": func(t *testing.T, s *servertest.Server) {
			change(t, s, func(c *registry.Client) {
				c.RevokedBefore = registry.Cutoff(s.Clock.Now().Add(time.Second))
				s.Clock.Advance(time.Second)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.Start(t)
			b := s.NewBrowser()
			approve(t, b, with())
			for range 2 {
				opened(t, s, b.Authorize("", with("prompt", "none")))
			}
			end(t, s)
			if got := b.Authorize("", with("prompt", "none")).Response(t).Get("error"); got != "consent_required" {
				t.Errorf("%q", got)
			}
		})
	}
}
