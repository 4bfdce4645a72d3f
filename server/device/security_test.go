package device_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/token"
)

// signedIn is a browser in which alice is signed in.
func (s *site) signedIn() *servertest.Browser {
	s.t.Helper()
	b := s.NewBrowser()
	b.SignIn(b.Authorize("", servertest.Params()), registrytest.Alice, registrytest.AlicePassword)
	return b
}

// wantLockedOut fails unless the page says to come back later, in as many seconds as the header says.
func wantLockedOut(t *testing.T, p *servertest.Page) time.Duration {
	t.Helper()
	seconds, err := strconv.Atoi(p.Header.Get("Retry-After"))
	if p.Status != http.StatusTooManyRequests || err != nil || seconds < 1 || p.Text("problem") == "" {
		t.Fatalf("not locked out: %d, Retry-After %q: %s", p.Status, p.Header.Get("Retry-After"), p.Body)
	}
	return time.Duration(seconds) * time.Second
}

// Row: device code guessing → lock-out. Of somebody who is signed in, after five wrong codes; a right one is not looked up then.
func TestDeviceCodeGuessing(t *testing.T) {
	s := newSite(t)
	code := s.begun(registrytest.PrintShop).text("user_code")
	b := s.signedIn()
	for range 5 {
		if p := enter(b, "BCDF-GHJK"); p.Status != http.StatusUnprocessableEntity || p.Text("problem") == "" {
			t.Fatalf("%d %s", p.Status, p.Body)
		}
	}
	wait := wantLockedOut(t, enter(b, code))
	wantLockedOut(t, enter(s.signedIn(), code)) // the same user in another session
	s.Clock.Advance(wait)
	if p := enter(b, code); p.Text("client-name") != "Print Shop" {
		t.Errorf("after the wait: %d %s", p.Status, p.Body)
	}
}

// A right code, of which a guesser can have as many as they like, forgives no wrong ones.
func TestRightCodesForgiveNoWrongOnes(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	for range 4 {
		enter(b, "BCDF-GHJK")
		if p := enter(b, s.begun(registrytest.PrintShop).text("user_code")); p.Text("client-name") != "Print Shop" {
			t.Fatalf("%d %s", p.Status, p.Body)
		}
	}
	enter(b, "BCDF-GHJK")
	wantLockedOut(t, enter(b, "BCDF-GHJK"))
}

// Row: device code guessing → lock-out, of a source, whoever it says it is. Without a sign-in nobody learns whether a code is right.
func TestDeviceCodeGuessingWithoutSignIn(t *testing.T) {
	s := newSite(t)
	code := s.begun(registrytest.PrintShop).text("user_code")
	right, wrong := enter(s.NewBrowser(), code), enter(s.NewBrowser(), "BCDF-GHJK")
	seal := regexp.MustCompile(`device-login=[\w-]+`)
	if right.Status != wrong.Status || seal.ReplaceAllString(right.Body, "") != seal.ReplaceAllString(wrong.Body, "") {
		t.Errorf("a right code is told from a wrong one before sign-in:\n%s\n%s", right.Body, wrong.Body)
	}
	for range 28 {
		enter(s.NewBrowser(), "BCDF-GHJK")
	}
	wantLockedOut(t, enter(s.NewBrowser(), code))
	wantLockedOut(t, enter(s.NewBrowser(), "not even a code"))

	one := newSite(t)
	b := one.NewBrowser()
	for range 5 {
		enter(b, "BCDF-GHJK")
	}
	wantLockedOut(t, enter(b, "BCDF-GHJK"))
}

// Row: same answer for codes that are unknown, expired and used, and for those of a client that is gone.
func TestSameAnswerForEveryCodeThatIsNotValid(t *testing.T) {
	s := newSite(t)
	expired := s.begun(registrytest.PrintShop).text("user_code")
	s.Clock.Advance(10 * time.Minute)
	used, gone, withdrawn := s.begun(registrytest.PrintShop).text("user_code"), s.begun(registrytest.Native, "scope", "openid").text("user_code"), s.begun(registrytest.PrintShop, "scope", "orders.read").text("user_code")
	s.decide(used, "allow")
	s.Publish(registrytest.Without(s.Issuer(""), registrytest.Native))
	s.change(registrytest.PrintShop, func(c *registry.Client) { c.Access = c.Access[:1] })
	var first *servertest.Page
	for _, code := range []string{"BCDF-GHJK", expired, used, gone, withdrawn, "not a code", strings.Repeat("B", 8000)} {
		s.Clock.Advance(15 * time.Minute) // else it would be the lock-out
		p := enter(s.signedIn(), code)
		if first == nil {
			first = p
		}
		if p.Status != http.StatusUnprocessableEntity || p.Text("problem") != first.Text("problem") || p.Text("problem") == "" {
			t.Errorf("%.20s: %d %s", code, p.Status, p.Body)
		}
	}
}

// A client that was created again under the name is another one: nobody approves for it what the old one asked for.
func TestCodeOfAClientThatWasCreatedAgain(t *testing.T) {
	s := newSite(t)
	b, code := s.signedIn(), s.begun(registrytest.PrintShop).text("user_code")
	form := s.walk(b, code, registrytest.Alice, registrytest.AlicePassword)
	s.change(registrytest.PrintShop, func(c *registry.Client) { c.UID = "another" })
	for name, p := range map[string]*servertest.Page{"code": enter(b, code), "decision": b.Decide(form, "allow")} {
		if p.Status != http.StatusUnprocessableEntity || p.Text("problem") == "" {
			t.Errorf("%s: %d %s", name, p.Status, p.Body)
		}
	}
	if n := s.Writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}

// A user code that is given out again, after its request was deleted, is another request: the old device code is worth nothing.
func TestDeviceCodeOfAnEarlierRequestWithTheSameUserCode(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	name := s.Issuer("").Keys.UserCodeID(strings.ReplaceAll(a.text("user_code"), "-", ""))
	d, err := s.Devices.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Devices.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	again := *d
	again.ID = token.NewID()
	if err := s.Devices.Create(t.Context(), &again); err != nil {
		t.Fatal(err)
	}
	if p := s.decide(a.text("user_code"), "allow"); p.Text("result") == "" {
		t.Fatalf("%d %s", p.Status, p.Body)
	}
	wantError(t, s.poll(s.URL, registrytest.PrintShop, a.text("device_code")), oauth.AccessDenied)
}

// After a sign-in too, a wrong code is told to be wrong, and nothing else.
func TestWrongCodeAfterSignIn(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	p := b.SignIn(enter(b, "BCDF-GHJK"), registrytest.Alice, registrytest.AlicePassword)
	if p.Status != http.StatusUnprocessableEntity || p.Text("problem") == "" || p.Attr("user-code", "value") != "BCDF-GHJK" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
	if p = b.Follow(b.Post(p.Action(t), url.Values{"user_code": {s.begun(registrytest.PrintShop).text("user_code")}})); p.Text("client-name") != "Print Shop" {
		t.Errorf("the page does not go on: %d %s", p.Status, p.Body)
	}
}

// Row: CSRF on device → 403. Each form is bound to its browser and step.
func TestCSRFOnDevice(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	code := a.text("user_code")
	victim, attacker := s.signedIn(), s.NewBrowser()
	theirs := s.walk(attacker, code, registrytest.Bob, registrytest.BobPassword).Action(t)
	entry := attacker.Get(s.URL + "/device").Action(t)
	own := s.walk(victim, code, registrytest.Alice, registrytest.AlicePassword).Action(t)
	ownEntry := victim.Get(s.URL + "/device").Action(t)
	allow, enterCode := url.Values{"decision": {"allow"}}, url.Values{"user_code": {code}}
	for name, p := range map[string]*servertest.Page{
		"decision without a seal":              victim.Post(s.URL+"/device", allow),
		"code without a seal":                  victim.Post(s.URL+"/device", enterCode),
		"decision with the attacker's seal":    victim.Post(theirs, allow),
		"code with the attacker's seal":        victim.Post(entry, enterCode),
		"decision with the seal for a code":    victim.Post(strings.Replace(ownEntry, "device-entry", "device-decision", 1), allow),
		"code with the seal for a decision":    victim.Post(strings.Replace(own, "device-decision", "device-entry", 1), enterCode),
		"forged":                               victim.Post(own[:len(own)-2]+"AA", allow),
		"truncated":                            victim.Post(own[:len(own)-1], allow),
		"with another parameter":               victim.Post(own+"&x=y", allow),
		"huge":                                 victim.Post(s.URL+"/device?device-decision="+strings.Repeat("A", 9000), allow),
		"in a browser without a cookie":        s.NewBrowser().Post(own, allow),
		"the sign-in page with another's seal": victim.Post(strings.Replace(strings.Replace(theirs, "/device?", "/login?", 1), "device-decision", "device-login", 1), url.Values{"username": {"x"}}),
	} {
		if p.Status != http.StatusForbidden || p.Text("error-code") != "forbidden" {
			t.Errorf("%s: %d %s", name, p.Status, p.Location())
		}
	}
	s.Clock.Advance(time.Hour)
	if p := victim.Post(ownEntry, enterCode); p.Status != http.StatusForbidden || p.Attr("restart", "href") != s.URL+"/device" {
		t.Errorf("open for too long: %d %s", p.Status, p.Body)
	}
	wantError(t, s.poll(s.URL, registrytest.PrintShop, a.text("device_code")), oauth.ExpiredToken)
	if n := s.Writes.Load(); n != 1 {
		t.Errorf("%d writes, want that of the request alone", n)
	}
}

// Row: session fixation. What was sealed before a sign-in is worth nothing after it.
func TestSealsFromBeforeSignIn(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	entry := b.Get(s.URL + "/device").Action(t)
	p := b.Follow(b.Post(entry, url.Values{"user_code": {s.begun(registrytest.PrintShop).text("user_code")}}))
	b.SignIn(p, registrytest.Alice, registrytest.AlicePassword)
	if p := b.Post(entry, url.Values{"user_code": {"BCDF-GHJK"}}); p.Status != http.StatusForbidden {
		t.Errorf("%d", p.Status)
	}
	if again := b.Get(p.URL); again.Status != http.StatusSeeOther || !strings.HasPrefix(again.Location(), s.URL+"/device?user_code=") {
		t.Errorf("the sign-in page again: %d %s", again.Status, again.Location())
	}
}

// A decision is neither guessed nor defaulted.
func TestDecisionMustBeClear(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	form := s.walk(b, s.begun(registrytest.PrintShop).text("user_code"), registrytest.Alice, registrytest.AlicePassword).Action(t)
	for _, decision := range []url.Values{{}, {"decision": {""}}, {"decision": {"yes"}}, {"decision": {"allow", "deny"}}} {
		if p := b.Post(form, decision); p.Status != http.StatusBadRequest || p.Text("error-code") != "invalid_request" {
			t.Errorf("%v: %d %s", decision, p.Status, p.Body)
		}
	}
	if n := s.Writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}

// Row: XSS via display names and what is filled in; clickjacking and leakage.
func TestDevicePagesEscapeAndAreFenced(t *testing.T) {
	s := newSite(t)
	const evil = `"><script>alert(1)</script>`
	s.change(registrytest.PrintShop, func(c *registry.Client) { c.DisplayName = evil })
	b := s.NewBrowser()
	filled := b.Get(s.URL + "/device?user_code=" + url.QueryEscape(evil))
	asked := s.walk(b, s.begun(registrytest.PrintShop).text("user_code"), registrytest.Alice, registrytest.AlicePassword)
	done := b.Decide(asked, "allow")
	for name, p := range map[string]*servertest.Page{"code": filled, "decision": asked, "end": done} {
		if strings.Contains(p.Body, "<script") {
			t.Errorf("%s: %s", name, p.Body)
		}
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		} {
			if got := p.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		if p.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: scripts of other origins may read the page", name)
		}
	}
}

// A code of one issuer is nobody's at another.
func TestCodeOfAnotherIssuer(t *testing.T) {
	s := &site{servertest.Start(t, "", "/team"), t}
	s.change(registrytest.PrintShop, func(c *registry.Client) { c.GrantTypes = append(c.GrantTypes, oauth.GrantDeviceCode) })
	a := s.begun(registrytest.PrintShop)
	b := s.NewBrowser()
	p := b.Get(s.URL + "/team/device")
	p = b.SignIn(b.Follow(b.Post(p.Action(t), url.Values{"user_code": {a.text("user_code")}})), registrytest.Alice, registrytest.AlicePassword)
	if p.Status != http.StatusUnprocessableEntity || p.Text("problem") == "" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
}
