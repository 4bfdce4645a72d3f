package logout_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/store"
)

func TestSignOutByHint(t *testing.T) {
	s := newSite(t)
	for name, test := range map[string]struct {
		params url.Values
		want   string
	}{
		"and back, with state":          {url.Values{"post_logout_redirect_uri": {afterwards}, "state": {"a b"}}, afterwards + "?state=a+b"},
		"and back, without state":       {url.Values{"post_logout_redirect_uri": {afterwards}}, afterwards},
		"and back, client_id as well":   {url.Values{"post_logout_redirect_uri": {afterwards}, "client_id": {registrytest.PrintShop}}, afterwards},
		"with nowhere to go":            {url.Values{}, ""},
		"with nowhere to go, but state": {url.Values{"state": {"x"}}, ""},
		"with other parameters":         {url.Values{"post_logout_redirect_uri": {afterwards}, "ui_locales": {"se"}, "logout_hint": {"x"}, "foo": {"bar"}}, afterwards},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			b, hint := s.signIn()
			test.params.Set("id_token_hint", hint)
			var p *servertest.Page
			if method == http.MethodGet {
				p = b.Get(s.URL + "/logout?" + test.params.Encode())
			} else {
				p = b.Get(b.Post(s.URL+"/logout", test.params).Location())
			}
			if want := test.want; want == "" {
				if p = b.Follow(p); p.Status != http.StatusOK || p.Text("signed-out") == "" {
					t.Errorf("%s %s: %d %s", method, name, p.Status, p.Body)
				}
			} else if p.Status != http.StatusSeeOther || p.Location() != want {
				t.Errorf("%s %s: %d to %q; want %q", method, name, p.Status, p.Location(), want)
			}
			if s.signedIn(b) {
				t.Errorf("%s %s: still signed in", method, name)
			}
		}
	}
}

// An ID token that has expired says whose session is meant as well as any.
func TestSignOutByExpiredHint(t *testing.T) {
	s := newSite(t)
	b, hint := s.signIn()
	s.Clock.Advance(time.Hour)
	if p := b.Get(s.URL + "/logout?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {afterwards}}.Encode()); p.Location() != afterwards {
		t.Errorf("%d %s", p.Status, p.Body)
	}
}

func TestSignOutByQuestion(t *testing.T) {
	s := newSite(t)
	for name, test := range map[string]struct {
		params url.Values
		want   string
	}{
		"nobody asks":       {url.Values{}, ""},
		"a client asks":     {url.Values{"client_id": {registrytest.PrintShop}}, ""},
		"and wants it back": {url.Values{"client_id": {registrytest.PrintShop}, "post_logout_redirect_uri": {afterwards}, "state": {"x"}}, afterwards + "?state=x"},
	} {
		b, _ := s.signIn()
		question := b.Get(s.URL + "/logout?" + test.params.Encode())
		if user := question.Text("user"); question.Status != http.StatusOK || user == "" || question.Attr("stay", "value") != "stay" {
			t.Errorf("%s: %d %s", name, question.Status, question.Body)
		}
		if asks := question.Text("client-name"); (asks != "") != test.params.Has("client_id") {
			t.Errorf("%s: %q asks", name, asks)
		}
		stay := b.Post(question.Action(t), url.Values{"decision": {"stay"}})
		if stay.Status != http.StatusOK || stay.Text("signed-in") == "" || !s.signedIn(b) {
			t.Errorf("%s: stay: %d %s", name, stay.Status, stay.Body)
		}
		if p := b.Post(question.Action(t), url.Values{"decision": {"perhaps"}}); p.Status != http.StatusBadRequest || !s.signedIn(b) {
			t.Errorf("%s: perhaps: %d", name, p.Status)
		}
		p := b.Post(question.Action(t), url.Values{"decision": {"sign-out"}})
		if test.want != "" && p.Location() != test.want {
			t.Errorf("%s: to %q", name, p.Location())
		}
		if test.want == "" && b.Follow(p).Text("signed-out") == "" {
			t.Errorf("%s: %s", name, p.Body)
		}
		if s.signedIn(b) {
			t.Errorf("%s: still signed in", name)
		}
	}
}

// A hint that is not of this session leads to the question, though it names the same user.
func TestHintOfAnotherSession(t *testing.T) {
	s := newSite(t)
	b, _ := s.signIn()
	_, hint := s.signIn()
	if p := b.Get(s.URL + "/logout?" + url.Values{"id_token_hint": {hint}}.Encode()); p.Attr("sign-out", "value") == "" || !s.signedIn(b) {
		t.Errorf("%d %s", p.Status, p.Body)
	}
}

// Who is not signed in is signed out already.
func TestNobodySignedIn(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	if p := b.Get(s.URL + "/logout"); p.Status != http.StatusOK || p.Text("signed-out") == "" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
	params := url.Values{"client_id": {registrytest.PrintShop}, "post_logout_redirect_uri": {afterwards}, "state": {"x"}}
	if p := b.Get(s.URL + "/logout?" + params.Encode()); p.Location() != afterwards+"?state=x" {
		t.Errorf("%d %s", p.Status, p.Location())
	}
	if n := s.Writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// The client of the hint need not be there any more for its users to sign out; only then they are asked.
func TestClientIsGone(t *testing.T) {
	s := newSite(t)
	b, hint := s.signIn()
	s.Publish(registrytest.Without(s.Issuer(""), registrytest.PrintShop))
	p := b.Get(s.URL + "/logout?" + url.Values{"id_token_hint": {hint}}.Encode())
	if p = b.Follow(b.Post(p.Action(t), url.Values{"decision": {"sign-out"}})); p.Text("signed-out") == "" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
}

// What was granted for the time of the session ends with it, what was granted for longer doesn't, and nothing of other sessions.
func TestGrantsOfTheSession(t *testing.T) {
	s := newSite(t)
	s.declare(func(c *registry.Client) { c.Scopes = append(c.Scopes, "offline_access") })
	b := s.NewBrowser()
	online, offline := s.tokens(b, ""), s.tokens(b, "", "offline_access")
	other := s.tokens(s.NewBrowser(), "")
	if offline["refresh_token"] == nil || online["refresh_token"] != nil {
		t.Fatalf("%v %v", online, offline)
	}
	before := s.Writes.Load()
	b.Get(s.URL + "/logout?" + url.Values{"id_token_hint": {online["id_token"].(string)}}.Encode())
	if s.signedIn(b) {
		t.Fatal("still signed in")
	}
	if s.works(online) || !s.works(offline) || !s.works(other) {
		t.Errorf("the session's token works: %v, the offline one: %v, the other session's: %v", s.works(online), s.works(offline), s.works(other))
	}
	if n := s.Writes.Load() - before; n != 2 {
		t.Errorf("%d writes for one grant and the sign-out itself", n)
	}
	status, body := s.post(s.URL+"/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {offline["refresh_token"].(string)}, "client_id": {registrytest.PrintShop}, "client_secret": {registrytest.PrintShopSecret},
	})
	if status != http.StatusOK {
		t.Errorf("refresh after sign-out: %d %v", status, body)
	}
	events := s.audits("sign_out")
	if len(events) != 1 || events[0]["user"] != registrytest.Alice || events[0]["grants_revoked"] != 1.0 || events[0]["by"] != "id_token_hint" || events[0]["result"] != "success" {
		t.Errorf("%v", events)
	}
	if revoked := s.audits("grant_revoked"); len(revoked) != 1 || revoked[0]["reason"] != store.ReasonSignedOut {
		t.Errorf("%v", revoked)
	}
}

// While the session's grants can't be found, or taken back, nobody is told that they are signed out.
func TestStoreFails(t *testing.T) {
	broken := false
	s := &site{servertest.StartWith(t, func(c *server.Config) {
		whole := c.Grants
		c.Grants = breakable{whole, &broken}
	}), t}
	b, hint := s.signIn()
	target := s.URL + "/logout?" + url.Values{"id_token_hint": {hint}}.Encode()
	check := func(what string) {
		p := b.Get(target)
		if p.Status != http.StatusServiceUnavailable || p.Text("error-code") != "temporarily_unavailable" || p.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", what, p.Status, p.Header)
		}
	}
	broken = true
	check("revocation")
	broken = false
	s.Outage.Store(true)
	check("search")
	s.Outage.Store(false)
	if p := b.Follow(b.Get(target)); p.Text("signed-out") == "" || s.signedIn(b) {
		t.Errorf("afterwards: %d %s", p.Status, p.Body)
	}
}

// breakable fails to revoke when it is told to.
type breakable struct {
	store.Grants
	broken *bool
}

func (f breakable) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	if *f.broken {
		return errors.New("etcd: internal detail")
	}
	return f.Grants.Revoke(ctx, id, reason, at)
}

// The bounds on what travels in a URL.
func TestTooLong(t *testing.T) {
	s := newSite(t)
	b, hint := s.signIn()
	long := make([]byte, 5000)
	for i := range long {
		long[i] = 's'
	}
	for _, p := range []*servertest.Page{
		b.Get(s.URL + "/logout?" + url.Values{"id_token_hint": {hint}, "state": {string(long)}}.Encode()),
		b.Post(s.URL+"/logout", url.Values{"id_token_hint": {hint}, "state": {string(long)}}),
		b.Post(s.URL+"/logout?state=x", url.Values{"id_token_hint": {hint}}),
	} {
		if p.Status != http.StatusBadRequest || !s.signedIn(b) {
			t.Errorf("%d", p.Status)
		}
	}
}
