package login_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/session"
)

func with(change ...string) url.Values {
	v := servertest.Params()
	for i := 0; i < len(change); i += 2 {
		v.Set(change[i], change[i+1])
	}
	return v
}

func credentials(username, password string) url.Values {
	return url.Values{"username": {username}, "password": {password}}
}

func onConsent(p *servertest.Page) bool { return p.Text("allow") != "" }

func onLogin(p *servertest.Page) bool { return p.Text("sign-in") != "" }

func TestSignIn(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	p := b.Authorize("", with("login_hint", "alice"))
	if p.Status != http.StatusOK || !onLogin(p) || p.Attr("username", "value") != "alice" {
		t.Fatalf("%d %s", p.Status, p.Body)
	}
	for _, want := range []string{"Print Shop", "print.example"} {
		if !strings.Contains(p.Body, want) {
			t.Errorf("the page does not name %s", want)
		}
	}
	// Row: open redirector; 307 after a POST → never; 303.
	posted := b.Post(p.Action(t), credentials(" alice ", registrytest.AlicePassword))
	if posted.Status != http.StatusSeeOther || !strings.HasPrefix(posted.Location(), s.URL+"/authorize?") {
		t.Fatalf("%d to %q, want 303 back to /authorize", posted.Status, posted.Location())
	}
	if p := b.Follow(posted); !onConsent(p) {
		t.Errorf("%d %s", p.Status, p.Body)
	}
	if p := b.Authorize("", with()); !onConsent(p) {
		t.Error("asked to sign in again")
	}
	log := s.Log.String()
	if !strings.Contains(log, `"event":"sign_in"`) || !strings.Contains(log, `"result":"ok"`) || strings.Contains(log, registrytest.AlicePassword) {
		t.Errorf("audit: %s", log)
	}
}

// Row: password guessing, user enumeration → same reply for unknown users.
func TestWrongPasswordAndUnknownUserLookAlike(t *testing.T) {
	s := servertest.Start(t)
	iss := s.Issuer("")
	locked := registrytest.User(t, iss, registrytest.Bob)
	locked.PasswordHash = ""
	s.Publish(registrytest.WithUser(iss, locked))
	var bodies []string
	for _, username := range []string{"alice", "nobody", "bob"} {
		b := s.NewBrowser()
		p := b.Authorize("", with())
		action := p.Action(t)
		p = b.Post(action, credentials(username, "wrong"))
		if p.Status != http.StatusUnprocessableEntity || p.Text("problem") == "" || p.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s", username, p.Status, p.Body)
		}
		body := strings.ReplaceAll(p.Body, p.Action(t), "ACTION") // first: the seal is random, and may spell a username
		bodies = append(bodies, strings.ReplaceAll(body, username, "USER"))
		if p.Action(t) != action {
			t.Errorf("%s: the form leads elsewhere", username)
		}
		if p := b.SignIn(p, "alice", registrytest.AlicePassword); !onConsent(p) {
			t.Errorf("no second attempt: %d", p.Status)
		}
	}
	if bodies[0] != bodies[1] || bodies[0] != bodies[2] {
		t.Errorf("the pages differ:\n%s\n%s\n%s", bodies[0], bodies[1], bodies[2])
	}
	if strings.Contains(s.Log.String(), "nobody") || strings.Contains(s.Log.String(), "wrong") {
		t.Error("what was typed is in the log")
	}
}

// Row: password guessing → 429 + Retry-After; and the right password is not tried then.
func TestPasswordGuessing(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	action := b.Authorize("", with()).Action(t)
	for range 200 {
		p := b.Post(action, credentials("alice", "guess"))
		if p.Status != http.StatusTooManyRequests {
			continue
		}
		if seconds, err := strconv.Atoi(p.Header.Get("Retry-After")); err != nil || seconds < 1 || p.Text("problem") == "" {
			t.Errorf("Retry-After %q, problem %q", p.Header.Get("Retry-After"), p.Text("problem"))
		}
		if p := b.Post(action, credentials("alice", registrytest.AlicePassword)); p.Status != http.StatusTooManyRequests {
			t.Errorf("the right password while limited: %d", p.Status)
		}
		s.Clock.Advance(50 * time.Minute)
		if p := b.Post(action, credentials("alice", registrytest.AlicePassword)); p.Status != http.StatusSeeOther {
			t.Errorf("the right password later: %d", p.Status)
		}
		return
	}
	t.Error("200 guesses and no 429")
}

// Row: CSRF on login → 403; the form is bound to its browser and step.
func TestCSRFOnLogin(t *testing.T) {
	s := servertest.Start(t)
	attacker := s.NewBrowser()
	page := attacker.Authorize("", with())
	cases := map[string]*servertest.Browser{"no cookie": s.NewBrowser(), "another pre-session": s.NewBrowser(), "signed in": s.NewBrowser()}
	cases["another pre-session"].Authorize("", with())
	cases["signed in"].SignIn(cases["signed in"].Authorize("", with()), registrytest.Bob, registrytest.BobPassword)
	for name, victim := range cases {
		t.Run(name, func(t *testing.T) {
			p := victim.Post(page.Action(t), credentials(registrytest.Alice, registrytest.AlicePassword))
			if p.Status != http.StatusForbidden || p.Text("error-code") != "forbidden" || p.Header.Get("Set-Cookie") != "" {
				t.Fatalf("%d %s", p.Status, p.Body)
			}
			restart := p.Attr("restart", "href")
			if restart != s.URL+"/authorize?"+with().Encode() {
				t.Errorf("restart at %q, want the original request", restart)
			}
			if p := victim.Follow(victim.Get(restart)); !onLogin(p) && !onConsent(p) {
				t.Errorf("a dead end: %d", p.Status)
			}
		})
	}
	if p := s.NewBrowser().Get(page.URL); p.Status != http.StatusForbidden || p.Attr("restart", "href") == "" {
		t.Errorf("GET with another's seal: %d", p.Status)
	}
	if p := attacker.SignIn(page, registrytest.Alice, registrytest.AlicePassword); !onConsent(p) {
		t.Errorf("its own form: %d", p.Status)
	}
}

// Row: session fixation. What was there before sign-in, planted or not, is not the session, and a seal from before it is
// spent.
func TestSessionFixation(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	page := b.Authorize("", with())
	origin, _ := url.Parse(s.URL)
	before := b.Jar.Cookies(origin)
	if len(before) != 1 {
		t.Fatalf("cookies before sign-in: %v", before)
	}
	b.SignIn(page, registrytest.Alice, registrytest.AlicePassword)
	after := b.Jar.Cookies(origin)
	if len(after) != 1 || after[0].Name == before[0].Name || after[0].Value == before[0].Value {
		t.Fatalf("cookies after sign-in: %v, before: %v", after, before)
	}
	planter := s.NewBrowser()
	planter.Jar.SetCookies(origin, before)
	if p := planter.Authorize("", with()); !onLogin(p) {
		t.Error("the planted cookie is signed in")
	}
	if p := b.Post(page.Action(t), credentials(registrytest.Bob, registrytest.BobPassword)); p.Status != http.StatusForbidden {
		t.Errorf("the form from before sign-in: %d", p.Status)
	}
	// Again, by the same user in the same browser: still a new one.
	s.Clock.Advance(time.Second)
	b.SignIn(b.Authorize("", with("prompt", "login")), registrytest.Alice, registrytest.AlicePassword)
	if again := b.Jar.Cookies(origin); again[0].Value == after[0].Value {
		t.Error("signing in again kept the session")
	}
}

// The "back" button, or a second tab, after signing in.
func TestLoginPageWhenSignedIn(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	page := b.Authorize("", with())
	b.SignIn(page, registrytest.Alice, registrytest.AlicePassword)
	if p := b.Follow(b.Get(page.URL)); !onConsent(p) {
		t.Errorf("%d %s", p.Status, p.Body)
	}
}

func TestReauthentication(t *testing.T) {
	for name, change := range map[string][]string{
		"prompt=login": {"prompt", "login"}, "prompt=select_account": {"prompt", "select_account"}, "max_age": {"max_age", "30"}, "max_age=0": {"max_age", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.Start(t)
			b := s.NewBrowser()
			b.SignIn(b.Authorize("", with()), registrytest.Alice, registrytest.AlicePassword)
			s.Clock.Advance(time.Minute)
			p := b.Authorize("", with(change...))
			if !onLogin(p) {
				t.Fatalf("not asked to sign in: %d", p.Status)
			}
			s.Clock.Advance(time.Minute)
			p = b.SignIn(p, registrytest.Bob, registrytest.BobPassword)
			s.Clock.Advance(time.Minute) // a slow reader is not asked again
			if p = b.Decide(p, "allow"); p.Response(t).Get("code") == "" {
				t.Errorf("ended at %d %s", p.Status, p.Location())
			}
		})
	}
}

func TestLoginPageExpires(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	page := b.Authorize("", with())
	s.Clock.Advance(time.Hour)
	p := b.Post(page.Action(t), credentials(registrytest.Alice, registrytest.AlicePassword))
	if p.Status != http.StatusForbidden || p.Attr("restart", "href") == "" {
		t.Errorf("%d", p.Status)
	}
}

// The request is validated again at each step, against the world as it is then.
func TestClientChangesWhileSigningIn(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	page := b.Authorize("", with())
	iss := s.Issuer("")
	c := registrytest.Client(t, iss, registrytest.PrintShop)
	c.Access = nil
	s.Publish(registrytest.WithClient(iss, c))
	if p := b.SignIn(page, registrytest.Alice, registrytest.AlicePassword); p.Response(t).Get("error") != "invalid_scope" {
		t.Errorf("access withdrawn: %d %s", p.Status, p.Location())
	}
	s.Publish(registrytest.Without(iss, registrytest.PrintShop))
	if p := b.SignIn(page, registrytest.Alice, registrytest.AlicePassword); p.Status != http.StatusBadRequest || p.Location() != "" {
		t.Errorf("client deleted: %d %s", p.Status, p.Location())
	}
}

// Row: XSS via login_hint, username, display names → escaped; CSP without unsafe-inline.
func TestXSSOnLogin(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	s := servertest.Start(t)
	iss := s.Issuer("")
	c := registrytest.Client(t, iss, registrytest.PrintShop)
	c.DisplayName = evil
	s.Publish(registrytest.WithClient(iss, c))
	b := s.NewBrowser()
	p := b.Authorize("", with("login_hint", evil, "state", evil))
	again := b.Post(p.Action(t), credentials(evil, "x"))
	for _, page := range []*servertest.Page{p, again} {
		if strings.Contains(page.Body, "<script") || page.Attr("username", "value") != evil {
			t.Errorf("not escaped: %s", page.Body)
		}
		if csp := page.Header.Get("Content-Security-Policy"); csp == "" || strings.Contains(csp, "unsafe") {
			t.Errorf("CSP %q", csp)
		}
	}
}

// Row: clickjacking, leakage.
func TestPageHeaders(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	login := b.Authorize("", with())
	consent := b.SignIn(login, registrytest.Alice, registrytest.AlicePassword)
	failure := b.Authorize("", with("client_id", "nobody"))
	stale := s.NewBrowser().Get(login.URL)
	for name, p := range map[string]*servertest.Page{"login": login, "consent": consent, "error": failure, "stale": stale} {
		csp := p.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: CSP %q lacks %s", name, csp, want)
			}
		}
		if named := strings.Contains(csp, "form-action 'self' https://print.example;"); named != (name == "login" || name == "consent") {
			t.Errorf("%s: CSP %q", name, csp)
		}
		for header, want := range map[string]string{
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		} {
			if got := p.Header.Get(header); got != want {
				t.Errorf("%s: %s %q, want %q", name, header, got, want)
			}
		}
	}
}

// A decision is that of who was signed in when it was made: it does not survive a sign-in, whatever the seal of the page holds.
func TestDecisionDoesNotSurviveSignIn(t *testing.T) {
	s := servertest.Start(t)
	iss := s.Issuer("")
	b := s.NewBrowser()
	b.Authorize("", with())
	r := httptest.NewRequest(http.MethodGet, s.URL, nil)
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(at) {
		r.AddCookie(c)
	}
	req, err := interaction.Identify(iss, with(), s.Clock.Now())
	if err != nil || req.Validate() != nil {
		t.Fatal(err)
	}
	alice := registrytest.User(t, iss, registrytest.Alice)
	permitted, refusal := req.Ask.PermittedTo(alice)
	if refusal != nil {
		t.Fatal(refusal)
	}
	req.Shown, req.Decision = permitted.Digest(req.Client), interaction.Allow
	visitor, err := interaction.NewVisitor(session.Loader{SignOuts: s.SignOuts}, r, iss, s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	action, err := req.URL(interaction.Login, visitor)
	if err != nil {
		t.Fatal(err)
	}
	if p := b.Follow(b.Post(action, credentials(registrytest.Alice, registrytest.AlicePassword))); !onConsent(p) {
		t.Errorf("not asked: %d %s", p.Status, p.Location())
	}
}
