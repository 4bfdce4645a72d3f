package device_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// RFC 8628 section 3.3, from the code to the end, in a browser without JavaScript.
func TestUserAllows(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	b := s.NewBrowser()
	p := b.Get(a.text("verification_uri"))
	if p.Status != http.StatusOK || p.Attr("user-code", "name") != "user_code" || p.Attr("continue", "type") != "submit" || p.Attr("user-code", "value") != "" {
		t.Fatalf("%d %s", p.Status, p.Body)
	}
	p = b.Follow(b.Post(p.Action(t), url.Values{"user_code": {a.text("user_code")}}))
	if !strings.Contains(p.URL, "/login?") || !strings.Contains(p.Body, "connect a device") || strings.Contains(p.Body, "Print Shop") {
		t.Fatalf("not the sign-in page, which knows of no client yet: %s %s", p.URL, p.Body)
	}
	p = b.SignIn(p, registrytest.Alice, registrytest.AlicePassword)
	for id, want := range map[string]string{
		"client-name": "Print Shop", "client-id": registrytest.PrintShop, "client-namespace": "demo", "user-code": a.text("user_code"), "source": "127.0.0.1",
	} {
		if got := p.Text(id); got != want {
			t.Errorf("%s says %q, want %q", id, got, want)
		}
	}
	for _, words := range []string{"Did you start this on a device in front of you?", "Alice Liddell", "See your photos", "Add and delete photos", "Know that it is you"} {
		if !strings.Contains(p.Body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	p = b.Decide(p, "allow")
	if p.Status != http.StatusOK || p.Text("result") != "You can go back to your device" || p.Text("client-name") != "Print Shop" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
	if again := b.Get(p.URL); again.Text("result") != p.Text("result") {
		t.Errorf("the last page can't be loaded again: %d %s", again.Status, again.Body)
	}
}

func TestUserDenies(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	if p := s.decide(a.text("user_code"), "deny"); p.Text("result") != "The device was not connected" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
	wantError(t, s.poll(s.URL, registrytest.PrintShop, a.text("device_code")), oauth.AccessDenied)
}

// Who is signed in already goes from the code straight to what is asked for.
func TestSignedInAlready(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	b.SignIn(b.Authorize("", servertest.Params()), registrytest.Alice, registrytest.AlicePassword)
	p := enter(b, s.begun(registrytest.PrintShop).text("user_code"))
	if p.Text("client-name") != "Print Shop" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
}

// However it is typed.
func TestCodeAsPeopleTypeIt(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	code := s.begun(registrytest.PrintShop).text("user_code")
	s.walk(b, code, registrytest.Alice, registrytest.AlicePassword)
	for _, typed := range []string{strings.ToLower(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(code, "-", " ") + " ", strings.ReplaceAll(code, "-", "–")} {
		if p := enter(b, typed); p.Text("user-code") != code {
			t.Errorf("%q: %d %s", typed, p.Status, p.Body)
		}
	}
}

// RFC 8628 section 3.3.1: the complete URI fills the code in, and the user sends it.
func TestCompleteURINeverSubmits(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	b := s.NewBrowser()
	b.SignIn(b.Authorize("", servertest.Params()), registrytest.Alice, registrytest.AlicePassword)
	p := b.Get(a.text("verification_uri_complete"))
	if p.Status != http.StatusOK || p.Attr("user-code", "value") != a.text("user_code") || strings.Contains(p.Body, "Print Shop") || strings.Contains(p.Body, "<script") {
		t.Fatalf("%d %s", p.Status, p.Body)
	}
	if p = b.Follow(b.Post(p.Action(t), url.Values{"user_code": {p.Attr("user-code", "value")}})); p.Text("client-name") != "Print Shop" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
}

func TestNothingEntered(t *testing.T) {
	s := newSite(t)
	for range 40 { // which is no guess
		p := enter(s.NewBrowser(), "")
		if p.Status != http.StatusUnprocessableEntity || p.Text("problem") != "Enter the code that your device shows." {
			t.Fatalf("%d %s", p.Status, p.Body)
		}
	}
}

// "Not you?" leads through a sign-in back to the same code.
func TestSwitchUser(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	b := s.NewBrowser()
	p := s.walk(b, a.text("user_code"), registrytest.Alice, registrytest.AlicePassword)
	if !strings.Contains(p.Text("user"), "Alice") {
		t.Fatalf("shown to %q", p.Text("user"))
	}
	p = b.Get(p.Attr("switch-user", "href"))
	p = b.Follow(b.Post(p.Action(t), url.Values{"user_code": {p.Attr("user-code", "value")}}))
	if !strings.Contains(p.URL, "/login?") {
		t.Fatalf("no sign-in: %s", p.URL)
	}
	p = b.SignIn(p, registrytest.Bob, registrytest.BobPassword)
	if !strings.Contains(p.Text("user"), "bob") {
		t.Fatalf("shown to %q", p.Text("user"))
	}
	b.Decide(p, "allow")
	tokens := s.poll(s.URL, registrytest.PrintShop, a.text("device_code"))
	if tokens.status != http.StatusOK || tokens.text("scope") != "openid photos.read" {
		t.Errorf("%v: photos.write wants a group that bob is not in", tokens.body)
	}
}

// Scopes with requiredGroups: the page shows what the user may grant, and only that.
func TestOnlyWhatTheUserMayGrant(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	p := s.walk(b, s.begun(registrytest.PrintShop).text("user_code"), registrytest.Bob, registrytest.BobPassword)
	if !strings.Contains(p.Body, "See your photos") || strings.Contains(p.Body, "Add and delete photos") {
		t.Errorf("bob may read and not write: %s", p.Body)
	}
	p = enter(b, s.begun(registrytest.PrintShop, "scope", "photos.write").text("user_code"))
	if p.Status != http.StatusForbidden || p.Text("error-code") != "access_denied" {
		t.Errorf("bob may grant nothing of it: %d %s", p.Status, p.Body)
	}
}

// What is allowed is what was shown. When it has changed since, the user is asked again.
func TestChangedSinceShown(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	b := s.NewBrowser()
	p := s.walk(b, a.text("user_code"), registrytest.Alice, registrytest.AlicePassword)
	s.change(registrytest.PrintShop, func(c *registry.Client) { c.DisplayName = "Evil Shop" })
	p = b.Decide(p, "allow")
	if p.Text("client-name") != "Evil Shop" || p.Attr("allow", "value") != "allow" {
		t.Fatalf("not asked again: %d %s", p.Status, p.Body)
	}
	s.Clock.Advance(5 * time.Second)
	wantError(t, s.poll(s.URL, registrytest.PrintShop, a.text("device_code")), oauth.AuthorizationPending)
	if p = b.Decide(p, "allow"); p.Text("result") == "" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
}

// A form that is sent twice, by impatience or by loading the page again, decides once and ends in the same way.
func TestDecidedTwice(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	b := s.NewBrowser()
	form := s.walk(b, a.text("user_code"), registrytest.Alice, registrytest.AlicePassword)
	for i := range 3 {
		if p := b.Decide(form, "allow"); p.Text("result") != "You can go back to your device" {
			t.Errorf("time %d: %d %s", i+1, p.Status, p.Body)
		}
	}
	if p := b.Decide(form, "deny"); p.Status != http.StatusUnprocessableEntity || p.Text("problem") == "" {
		t.Errorf("denied after it was allowed: %d %s", p.Status, p.Body)
	}
	if tokens := s.poll(s.URL, registrytest.PrintShop, a.text("device_code")); tokens.status != http.StatusOK {
		t.Errorf("%d %v", tokens.status, tokens.body)
	}
}

// Somebody who is asked at the same time as another, and comes second, is told that the code is used.
func TestSecondUserComesTooLate(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	alice, bob := s.NewBrowser(), s.NewBrowser()
	first := s.walk(alice, a.text("user_code"), registrytest.Alice, registrytest.AlicePassword)
	second := s.walk(bob, a.text("user_code"), registrytest.Bob, registrytest.BobPassword)
	alice.Decide(first, "deny")
	if p := bob.Decide(second, "allow"); p.Status != http.StatusUnprocessableEntity || p.Text("problem") == "" {
		t.Errorf("%d %s", p.Status, p.Body)
	}
	wantError(t, s.poll(s.URL, registrytest.PrintShop, a.text("device_code")), oauth.AccessDenied)
}
