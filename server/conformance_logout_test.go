package server_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/servertest"
)

// leaves opens the end session endpoint with parameters, and follows to what is shown or to where it leads.
func (p *party) leaves(params ...string) *servertest.Page {
	p.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	return p.browser.Follow(p.browser.Get(p.URL + "/logout?" + v.Encode()))
}

// confirms presses the button of the page that asks whether to sign out, if there is one.
func (p *party) confirms(page *servertest.Page) *servertest.Page {
	p.t.Helper()
	if page.Attr("sign-out", "type") == "" {
		return page
	}
	return p.browser.Decide(page, "sign-out")
}

// A client whose user it is ends the session, and gets its user back with the state and nothing else (OpenID Connect RP-Initiated
// Logout sections 2 and 3).
func TestSignOutWithHintLeadsBack(t *testing.T) {
	for name, state := range map[string]string{"with state": partyState, "without state": ""} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t)
			hint, _ := p.signsIn()
			params := []string{"id_token_hint", hint, "post_logout_redirect_uri", partySignedOut}
			want := url.Values{}
			if state != "" {
				params = append(params, "state", state)
				want.Set("state", state)
			}
			page := p.leaves(params...)
			if uri, _, _ := strings.Cut(page.Location(), "?"); uri != partySignedOut || page.Response(t).Encode() != want.Encode() {
				t.Errorf("%d to %q", page.Status, page.Location())
			}
			p.refuses("login_required", "prompt", "none")
		})
	}
}

// An ID token that has expired is a hint all the same (section 2).
func TestSignOutWithExpiredHint(t *testing.T) {
	p := newParty(t)
	hint, _ := p.signsIn()
	p.Clock.Advance(time.Hour)
	if page := p.leaves("id_token_hint", hint, "post_logout_redirect_uri", partySignedOut); page.Location() != partySignedOut {
		t.Errorf("%d to %q", page.Status, page.Location())
	}
}

// Nothing that a stranger could have put together sends a browser anywhere, or ends a session unasked.
func TestSignOutNeverLeadsToStrangers(t *testing.T) {
	for name, params := range map[string]func(hint string) []string{
		"another URI": func(hint string) []string {
			return []string{"id_token_hint", hint, "post_logout_redirect_uri", partySignedOut + "abc"}
		},
		"query added": func(hint string) []string {
			return []string{"id_token_hint", hint, "post_logout_redirect_uri", partySignedOut + "?foo=bar"}
		},
		"no hint": func(string) []string { return []string{"post_logout_redirect_uri", partySignedOut} },
		"unsigned": func(hint string) []string {
			return []string{"id_token_hint", unsigned(hint), "post_logout_redirect_uri", partySignedOut}
		},
		"wrong MAC": func(hint string) []string {
			return []string{"id_token_hint", withMAC(hint), "post_logout_redirect_uri", partySignedOut}
		},
		"other client": func(hint string) []string {
			return []string{"id_token_hint", hint, "client_id", otherPartyID, "post_logout_redirect_uri", partySignedOut}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t)
			hint, _ := p.signsIn()
			page := p.leaves(append(params(hint), "state", partyState)...)
			if page.Status != http.StatusBadRequest || page.Location() != "" || page.Text("error-code") == "" {
				t.Errorf("%d to %q: %s", page.Status, page.Location(), page.Text("error-code"))
			}
			p.silently("prompt", "none")
		})
	}
}

// unsigned is the token with alg none.
func unsigned(jwt string) string {
	return header(`{"alg":"none"}`) + "." + strings.Split(jwt, ".")[1] + "."
}

// withMAC is the token as somebody else might sign it.
func withMAC(jwt string) string {
	return header(`{"alg":"HS256"}`) + "." + strings.Split(jwt, ".")[1] + "." + strings.Repeat("A", 43)
}

func header(object string) string { return base64.RawURLEncoding.EncodeToString([]byte(object)) }

// Without a client that asks, the user is asked, and then signed out for good.
func TestSignOutByTheUser(t *testing.T) {
	for name, params := range map[string][]string{"no parameters": nil, "only a state": {"state", partyState}} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t)
			p.signsIn()
			page := p.leaves(params...)
			if page.Status != http.StatusOK || page.Attr("sign-out", "type") == "" {
				t.Fatalf("the user is not asked: %d %s", page.Status, page.Body)
			}
			p.silently("prompt", "none")
			if page = p.confirms(page); page.Status != http.StatusOK || page.Text("signed-out") == "" {
				t.Errorf("%d %s", page.Status, page.Body)
			}
			p.refuses("login_required", "prompt", "none")
		})
	}
}

func TestSignOutWithHintAlone(t *testing.T) {
	p := newParty(t)
	hint, _ := p.signsIn()
	if page := p.confirms(p.leaves("id_token_hint", hint)); page.Status != http.StatusOK || page.Text("signed-out") == "" {
		t.Errorf("%d %s", page.Status, page.Body)
	}
	p.refuses("login_required", "prompt", "none")
}
