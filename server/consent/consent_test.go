package consent_test

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
	"github.com/latchkey-io/latchkey/server/token"
)

// consentPage is the page that Alice or Bob gets to see.
func consentPage(t *testing.T, b *servertest.Browser, username string) *servertest.Page {
	t.Helper()
	password := map[string]string{registrytest.Alice: registrytest.AlicePassword, registrytest.Bob: registrytest.BobPassword}[username]
	p := b.SignIn(b.Authorize("", servertest.Params()), username, password)
	if p.Text("allow") == "" {
		t.Fatalf("no consent page: %d %s", p.Status, p.Body)
	}
	return p
}

func issued(t *testing.T, iss *registry.Issuer, p *servertest.Page) *token.Code {
	t.Helper()
	code, err := token.OpenCode(iss, p.Response(t).Get("code"))
	if err != nil {
		t.Fatalf("%d %s: %v", p.Status, p.Location(), err)
	}
	return code
}

func TestConsentPage(t *testing.T) {
	s := servertest.Start(t)
	alice, bob := consentPage(t, s.NewBrowser(), registrytest.Alice), consentPage(t, s.NewBrowser(), registrytest.Bob)
	for _, want := range []string{"Print Shop", "print.example", "Photos", registrytest.Photos, "See your photos", "Know that it is you"} {
		if !strings.Contains(alice.Body, want) || !strings.Contains(bob.Body, want) {
			t.Errorf("the page does not tell: %s", want)
		}
	}
	const write = "Add and delete photos"
	if !strings.Contains(alice.Body, write) || strings.Contains(bob.Body, write) {
		t.Error("a scope that wants a group is for its members, and for them alone")
	}
}

func TestAllow(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	p := b.Decide(consentPage(t, b, registrytest.Alice), "allow")
	if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location(), registrytest.PrintShopRedirect+"?") {
		t.Fatalf("%d %s", p.Status, p.Location())
	}
	answer := p.Response(t)
	if answer.Get("state") != "state-1" || answer.Get("iss") != s.URL || len(answer) != 3 {
		t.Errorf("answer %v", answer)
	}
	code := issued(t, s.Issuer(""), p)
	want := token.Code{
		ID: code.ID, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID, RedirectURI: registrytest.PrintShopRedirect,
		Challenge: servertest.Params().Get("code_challenge"), User: registrytest.Alice, UserUID: registrytest.AliceUID,
		SessionID: code.SessionID, CredentialVersion: "1", AuthTime: s.Clock.Now(),
		Nonce: "nonce-1", IssuedAt: s.Clock.Now().Truncate(time.Second), ExpiresAt: s.Clock.Now().Truncate(time.Second).Add(time.Minute),
	}
	scopes, targets := code.Scopes, code.Targets
	code.Scopes, code.Targets = nil, nil
	if !equal(*code, want) || len(code.ID) != 32 || code.SessionID == "" {
		t.Errorf("code %+v\nwant %+v", *code, want)
	}
	if oauth.JoinScope(scopes) != "openid" || len(targets) != 1 || targets[0].Resource != registrytest.Photos ||
		oauth.JoinScope(targets[0].Scopes) != "photos.read photos.write" {
		t.Errorf("scopes %v and %v", scopes, targets)
	}
}

func equal(a, b token.Code) bool {
	times := a.AuthTime.Equal(b.AuthTime) && a.IssuedAt.Equal(b.IssuedAt) && a.ExpiresAt.Equal(b.ExpiresAt)
	return times && a.ID == b.ID && a.ClientID == b.ClientID && a.ClientUID == b.ClientUID && a.RedirectURI == b.RedirectURI &&
		a.Challenge == b.Challenge && a.User == b.User && a.UserUID == b.UserUID && a.SessionID == b.SessionID &&
		a.CredentialVersion == b.CredentialVersion && a.Nonce == b.Nonce
}

func TestAllowGrantsOnlyWhatTheUserMayGrant(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	code := issued(t, s.Issuer(""), b.Decide(consentPage(t, b, registrytest.Bob), "allow"))
	if oauth.JoinScope(code.Scopes) != "openid" || len(code.Targets) != 1 || oauth.JoinScope(code.Targets[0].Scopes) != "photos.read" {
		t.Errorf("granted %v and %v", code.Scopes, code.Targets)
	}
}

// Row: denied → access_denied, with state and iss.
func TestDeny(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	answer := b.Decide(consentPage(t, b, registrytest.Alice), "deny").Response(t)
	if answer.Get("error") != "access_denied" || answer.Get("state") != "state-1" || answer.Get("iss") != s.URL || answer.Has("code") {
		t.Errorf("answer %v", answer)
	}
	if log := s.Log.String(); !strings.Contains(log, `"event":"consent"`) || !strings.Contains(log, `"result":"deny"`) {
		t.Errorf("audit: %s", log)
	}
}

func TestNothingTheUserMayGrant(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	params := servertest.Params()
	params.Set("scope", "photos.write")
	answer := b.SignIn(b.Authorize("", params), registrytest.Bob, registrytest.BobPassword).Response(t)
	if answer.Get("error") != "access_denied" {
		t.Errorf("answer %v", answer)
	}
}

func TestNeitherAllowNorDeny(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	action := consentPage(t, b, registrytest.Alice).Action(t)
	for _, form := range []url.Values{{}, {"decision": {"Allow"}}, {"decision": {"allow", "deny"}}} {
		if p := b.Post(action, form); p.Status != http.StatusBadRequest || p.Text("error-code") != "invalid_request" {
			t.Errorf("%v: %d", form, p.Status)
		}
	}
}

// Row: CSRF on consent → 403; the form is bound to its browser, session and step.
func TestCSRFOnConsent(t *testing.T) {
	s := servertest.Start(t)
	attacker := s.NewBrowser()
	page := consentPage(t, attacker, registrytest.Bob)
	victims := map[string]*servertest.Browser{"no cookie": s.NewBrowser(), "not signed in": s.NewBrowser(), "another user": s.NewBrowser(), "same user elsewhere": s.NewBrowser()}
	victims["not signed in"].Authorize("", servertest.Params())
	consentPage(t, victims["another user"], registrytest.Alice)
	consentPage(t, victims["same user elsewhere"], registrytest.Bob)
	for name, victim := range victims {
		t.Run(name, func(t *testing.T) {
			p := victim.Post(page.Action(t), url.Values{"decision": {"allow"}})
			if p.Status != http.StatusForbidden || p.Text("error-code") != "forbidden" || p.Attr("restart", "href") == "" {
				t.Errorf("%d %s", p.Status, p.Body)
			}
			if p := victim.Get(page.URL); p.Status != http.StatusForbidden {
				t.Errorf("GET: %d", p.Status)
			}
		})
	}
	// A decision is good for the browser that made it, too.
	decided := attacker.Post(page.Action(t), url.Values{"decision": {"allow"}}).Location()
	if p := victims["another user"].Get(decided); p.Status != http.StatusForbidden {
		t.Errorf("another's decision: %d %s", p.Status, p.Location())
	}
	if p := attacker.Get(decided); p.Response(t).Get("code") == "" {
		t.Errorf("its own decision: %d", p.Status)
	}
}

// What is allowed is what was shown: after a change in between the user is asked again, and what nobody saw is not granted.
func TestWorldChangesWhileReading(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	page := consentPage(t, b, registrytest.Bob) // photos.read only
	iss := s.Issuer("")
	bob := registrytest.User(t, iss, registrytest.Bob)
	bob.Groups = []string{registrytest.Family} // may grant photos.write from now on
	s.Publish(registrytest.WithUser(iss, bob))
	again := b.Decide(page, "allow")
	if again.Text("allow") == "" || !strings.Contains(again.Body, "Add and delete photos") {
		t.Fatalf("not asked again: %d %s", again.Status, again.Location())
	}
	s.Publish(iss) // and back
	final := b.Decide(again, "allow")
	if final.Text("allow") == "" || strings.Contains(final.Body, "Add and delete photos") {
		t.Fatalf("not asked again: %d %s", final.Status, final.Location())
	}
	code := issued(t, s.Issuer(""), b.Decide(final, "allow"))
	if oauth.JoinScope(code.Scopes) != "openid" || len(code.Targets) != 1 || oauth.JoinScope(code.Targets[0].Scopes) != "photos.read" {
		t.Errorf("granted %v and %v", code.Scopes, code.Targets)
	}
}

// Who asks and in what words are part of what was shown: a client created again under the name is another.
func TestAnotherClientOrOtherWordsWhileReading(t *testing.T) {
	for name, change := range map[string]func(*registry.Client){
		"created again": func(c *registry.Client) { c.UID = "uid-another" },
		"renamed":       func(c *registry.Client) { c.DisplayName = "Your Bank" },
		"other words": func(c *registry.Client) {
			photos := *c.Access[0].Resource
			photos.Scopes = []*registry.Scope{{Name: registrytest.PhotosRead, Description: "Sell your photos"}, photos.Scopes[1]}
			c.Access = []registry.Access{{Resource: &photos, Scopes: photos.Scopes}}
		},
	} {
		s := servertest.Start(t)
		b := s.NewBrowser()
		page := consentPage(t, b, registrytest.Alice)
		client := registrytest.Client(t, s.Issuer(""), registrytest.PrintShop)
		change(client)
		s.Publish(registrytest.WithClient(s.Issuer(""), client))
		if p := b.Decide(page, "allow"); p.Text("allow") == "" {
			t.Errorf("%s: not asked again: %d %s", name, p.Status, p.Location())
		}
	}
}

func TestSessionEndsWhileReading(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	page := consentPage(t, b, registrytest.Alice)
	iss := s.Issuer("")
	alice := registrytest.User(t, iss, registrytest.Alice)
	alice.CredentialVersion = "2"
	s.Publish(registrytest.WithUser(iss, alice))
	if p := b.Post(page.Action(t), url.Values{"decision": {"allow"}}); p.Status != http.StatusForbidden {
		t.Errorf("%d %s", p.Status, p.Location())
	}
}

func TestDecisionExpires(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	page := consentPage(t, b, registrytest.Alice)
	decided := b.Post(page.Action(t), url.Values{"decision": {"allow"}}).Location()
	s.Clock.Advance(2 * time.Minute)
	if p := b.Get(decided); p.Status != http.StatusForbidden || p.Attr("restart", "href") == "" {
		t.Errorf("%d %s", p.Status, p.Location())
	}
	s.Clock.Advance(28 * time.Minute)
	if p := b.Post(page.Action(t), url.Values{"decision": {"allow"}}); p.Status != http.StatusForbidden {
		t.Errorf("the page after half an hour: %d", p.Status)
	}
}

// Several issuers on one host: each has its own sessions, and its seals are worth nothing at the other.
func TestTwoIssuersOnOneHost(t *testing.T) {
	s := servertest.Start(t, "/a", "/b")
	b := s.NewBrowser()
	params := servertest.Params()
	atA := b.SignIn(b.Authorize("/a", params), registrytest.Alice, registrytest.AlicePassword)
	if !strings.HasPrefix(atA.Action(t), s.URL+"/a/consent?") {
		t.Fatalf("%d %s", atA.Status, atA.URL)
	}
	atB := b.Authorize("/b", params)
	if atB.Text("sign-in") == "" {
		t.Fatal("the session of one issuer counts at another")
	}
	if p := b.Post(strings.Replace(atA.Action(t), "/a/", "/b/", 1), url.Values{"decision": {"allow"}}); p.Status != http.StatusForbidden {
		t.Errorf("a seal of a at b: %d", p.Status)
	}
	atB = b.SignIn(atB, registrytest.Bob, registrytest.BobPassword)
	a, bb := b.Decide(atA, "allow"), b.Decide(atB, "allow")
	if issued(t, s.Issuer("/a"), a).User != registrytest.Alice || issued(t, s.Issuer("/b"), bb).User != registrytest.Bob {
		t.Error("signing in at one issuer disturbed the other")
	}
	if a.Response(t).Get("iss") != s.URL+"/a" || bb.Response(t).Get("iss") != s.URL+"/b" {
		t.Error("wrong iss")
	}
	if _, err := token.OpenCode(s.Issuer("/b"), a.Response(t).Get("code")); err == nil {
		t.Error("a code of a opens at b")
	}
}

func TestNativeClients(t *testing.T) {
	s := servertest.Start(t)
	for redirect, source := range map[string]string{"http://127.0.0.1:51234/callback": "http://127.0.0.1:51234", registrytest.NativePrivate: "com.example.app:"} {
		b := s.NewBrowser()
		params := servertest.Params()
		params.Set("client_id", registrytest.Native)
		params.Set("redirect_uri", redirect)
		p := b.SignIn(b.Authorize("", params), registrytest.Alice, registrytest.AlicePassword)
		csp := p.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "form-action 'self' "+source+" ") {
			t.Errorf("%s: CSP %q", redirect, csp)
		}
		p = b.Decide(p, "allow")
		if !strings.HasPrefix(p.Location(), redirect+"?") || issued(t, s.Issuer(""), p).RedirectURI != redirect {
			t.Errorf("%s: %d %s", redirect, p.Status, p.Location())
		}
	}
}

func TestPostedRequest(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	p := b.Post(s.URL+"/authorize", servertest.Params())
	if p.Status != http.StatusSeeOther {
		t.Fatalf("%d", p.Status)
	}
	p = b.SignIn(b.Follow(p), registrytest.Alice, registrytest.AlicePassword)
	if p = b.Decide(p, "allow"); p.Response(t).Get("code") == "" {
		t.Errorf("%d %s", p.Status, p.Location())
	}
}

func TestSignInAsSomebodyElse(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	page := consentPage(t, b, registrytest.Alice)
	s.Clock.Advance(time.Second)
	login := b.Follow(b.Get(page.Attr("switch-user", "href")))
	if login.Text("sign-in") == "" {
		t.Fatalf("%d %s", login.Status, login.Body)
	}
	p := b.Decide(b.SignIn(login, registrytest.Bob, registrytest.BobPassword), "allow")
	if issued(t, s.Issuer(""), p).User != registrytest.Bob {
		t.Errorf("%d %s", p.Status, p.Location())
	}
}
