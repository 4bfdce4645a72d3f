package authorize_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/store"
)

func grants(t *testing.T, s *servertest.Server) []*store.Grant {
	t.Helper()
	found, err := s.Grants.Find(t.Context(), store.Query{AuthorizationServer: s.Issuer("").Name, UserUID: registrytest.AliceUID})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Once approved, the same request is answered at once, with prompt=none too, until the session ends.
func TestConsentIsRemembered(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	approve(t, b, with())
	for _, params := range []url.Values{with(), with("prompt", "none"), with("scope", "photos.read openid"), with("response_mode", "query")} {
		code := opened(t, s, b.Authorize("", params))
		if code.User != registrytest.Alice || oauth.JoinScope(code.Scopes) != "openid" || !code.KeepUntil.IsZero() {
			t.Errorf("%v: code %+v", params, code)
		}
	}
	s.Clock.Advance(11 * time.Hour)
	opened(t, s, b.Authorize("", with("prompt", "none")))
	if log := s.Log.String(); !strings.Contains(log, `"consent":"explicit"`) || !strings.Contains(log, `"consent":"remembered"`) {
		t.Error("the audit does not tell how the user approved")
	}
	s.Clock.Advance(2 * time.Hour)
	if got := b.Authorize("", with("prompt", "none")).Response(t).Get("error"); got != "login_required" {
		t.Errorf("after the session: %s", got)
	}
}

// The grant outlives its tokens to the end of the session, so that signing out finds the client; what was remembered of
// another session is noted for this one.
func TestKeptUntilTheSessionEnds(t *testing.T) {
	s := servertest.Start(t)
	end := func() time.Time { return s.Clock.Now().Truncate(time.Second).Add(s.Issuer("").Lifetimes.Session) }
	first := s.NewBrowser()
	p := signIn(first, first.Authorize("", with("scope", "openid offline_access")))
	code := opened(t, s, first.Decide(p, "allow"))
	if !code.KeepUntil.Equal(end()) {
		t.Errorf("explicit: kept until %s, want %s", code.KeepUntil, end())
	}
	approve(t, first, with("scope", "openid offline_access"))
	s.Clock.Advance(time.Hour)
	second := s.NewBrowser()
	p = signIn(second, second.Authorize("", with()))
	second.Decide(p, "deny")
	p = second.Authorize("", with("scope", "openid", "prompt", "none"))
	if code := opened(t, s, p); !code.KeepUntil.Equal(end()) {
		t.Errorf("remembered of another session: kept until %s, want %s", code.KeepUntil, end())
	}
	redeem(t, s, p.Response(t).Get("code"))
	if code := opened(t, s, second.Authorize("", with("scope", "openid", "prompt", "none"))); !code.KeepUntil.IsZero() {
		t.Errorf("remembered of this session: kept until %s", code.KeepUntil)
	}
}

// A request for more asks for what is new alone, says what is allowed already, and gets all of it.
func TestAsksOnlyForWhatIsNew(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	approve(t, b, with("scope", "openid photos.read"))
	if got := b.Authorize("", with("prompt", "none", "scope", "openid photos.read photos.write")).Response(t).Get("error"); got != "consent_required" {
		t.Errorf("prompt=none for more: %s", got)
	}
	for _, scope := range []string{"openid email photos.read", "openid photos.read photos.write", "openid photos.read offline_access"} {
		p := b.Authorize("", with("scope", scope))
		if !onConsent(p) {
			t.Fatalf("%s: not asked: %s", scope, p.Location())
		}
		asked, known, ok := strings.Cut(p.Body, `id="known"`)
		if !ok || strings.Contains(asked, "See your photos") || !strings.Contains(known, "See your photos") || !strings.Contains(known, "Know that it is you") {
			t.Errorf("%s: %s", scope, p.Body)
		}
		code := opened(t, s, b.Decide(p, "allow"))
		for _, name := range oauth.SplitScope(scope) {
			if !slices.Contains(code.Scopes, name) && !slices.Contains(code.Targets[0].Scopes, name) {
				t.Errorf("%s: the code lacks %s: %v %v", scope, name, code.Scopes, code.Targets)
			}
		}
	}
}

// What was approved elsewhere, by somebody else, of somebody else or under another name is not remembered.
func TestConsentIsRememberedForTheSameAlone(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	approve(t, b, with())
	before := s.Issuer("")
	for name, tc := range map[string]struct {
		world  func()
		params url.Values
	}{
		"another client object": {world: func() { change(t, s, func(c *registry.Client) { c.UID = "uid-created-again" }) }, params: with()},
		"another resource": {world: func() {
			change(t, s, func(c *registry.Client) {
				other := *c.Access[0].Resource
				other.Identifier = "https://other.demo.svc"
				c.Access = []registry.Access{{Resource: &other, Scopes: other.Scopes}}
			})
		}, params: with()},
		"prompt=consent": {params: with("prompt", "consent")},
		"more claims":    {params: with("claims", `{"userinfo":{"name":null}}`)},
		"to go on alone": {params: with("scope", "photos.read")}, // without openid there is a refresh token
	} {
		t.Run(name, func(t *testing.T) {
			s.Publish(before)
			if tc.world != nil {
				tc.world()
			}
			if p := b.Authorize("", tc.params); !onConsent(p) {
				t.Errorf("not asked: %d %s", p.Status, p.Location())
			}
		})
	}
	s.Publish(before)
	bob := s.NewBrowser()
	if p := bob.SignIn(bob.Authorize("", with()), registrytest.Bob, registrytest.BobPassword); !onConsent(p) {
		t.Errorf("another user is not asked: %d %s", p.Status, p.Location())
	}
}

// Row: a program that listens where the client should: never silent for loopback and private-use redirects.
func TestNeverSilentForLoopbackAndPrivateUseRedirects(t *testing.T) {
	s := servertest.Start(t)
	redirects := []string{
		"http://127.0.0.1:4711/callback", "http://127.1.2.3/cb", "http://[::1]:8080/cb", "http://localhost:20005/callback", "https://localhost/cb",
		"https://LOCALHOST./cb", "http://app.localhost/cb", "http://[::ffff:127.0.0.1]/cb", "http://0.0.0.0/cb", "com.example.app:/callback",
	}
	change(t, s, func(c *registry.Client) {
		for _, uri := range redirects {
			c.RedirectURIs = append(c.RedirectURIs, registry.ParseRedirectURI(uri, false))
		}
	})
	b := s.NewBrowser()
	approve(t, b, with()) // by way of the https redirect, which is remembered
	opened(t, s, b.Authorize("", with("prompt", "none")))
	for _, uri := range redirects {
		if got := b.Authorize("", with("prompt", "none", "redirect_uri", uri)).Response(t).Get("error"); got != "consent_required" {
			t.Errorf("%s: %q", uri, got)
		}
		if p := b.Authorize("", with("redirect_uri", uri)); !onConsent(p) || strings.Contains(p.Body, `id="known"`) {
			t.Errorf("%s: not asked for all of it: %d %s", uri, p.Status, p.Location())
		}
	}
}

// After the grant is revoked or has expired, the user is asked again, also by a page that was open meanwhile.
func TestConsentAfterWithdrawal(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	approve(t, b, with("scope", "openid photos.read"))
	open := b.Authorize("", with("scope", "openid photos.read photos.write")) // says that photos.read is allowed already
	revokeAll(t, s)
	p := b.Decide(open, "allow")
	if !onConsent(p) || strings.Contains(p.Body, `id="known"`) {
		t.Fatalf("what was taken back is taken for granted: %d %s", p.Status, p.Location())
	}
	if p = b.Decide(p, "allow"); p.Response(t).Get("code") == "" {
		t.Errorf("%d %s", p.Status, p.Location())
	}
	if got := b.Authorize("", with("prompt", "none", "scope", "openid photos.read")).Response(t).Get("error"); got != "consent_required" {
		t.Errorf("prompt=none after withdrawal: %q", got)
	}
}

// A grant is remembered while it lives, whether it was swept since or not.
func TestExpiredGrantIsForgotten(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	signIn(b, b.Authorize("", with()))
	now := s.Clock.Now()
	err := s.Grants.Create(t.Context(), &store.Grant{
		ID: strings.Repeat("a", 32), AuthorizationServer: s.Issuer("").Name, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, Scopes: []string{"openid"}, ExpiresAt: now.Add(time.Minute),
	}, store.NoLimit)
	if err != nil {
		t.Fatal(err)
	}
	opened(t, s, b.Authorize("", with("scope", "openid", "prompt", "none")))
	s.Clock.Advance(time.Minute)
	if got := b.Authorize("", with("scope", "openid", "prompt", "none")).Response(t).Get("error"); got != "consent_required" {
		t.Errorf("after its end: %q", got)
	}
}

// Two tabs: what is approved in one makes the other's question obsolete, and neither is a dead end.
func TestConsentInASecondTab(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	one := signIn(b, b.Authorize("", with()))
	two := b.Authorize("", with("state", "two"))
	if got := b.Authorize("", with("prompt", "none")).Response(t).Get("error"); got != "consent_required" {
		t.Errorf("prompt=none in between: %q", got)
	}
	redeem(t, s, b.Decide(one, "allow").Response(t).Get("code"))
	if p := b.Decide(two, "allow").Response(t); p.Get("code") == "" || p.Get("state") != "two" {
		t.Errorf("the second tab: %v", p)
	}
	if p := b.Follow(b.Get(two.URL)); p.Location() == "" || p.Response(t).Get("state") != "two" || p.Response(t).Get("code") == "" { // the "back" button
		t.Errorf("back: %d %s", p.Status, p.Body)
	}
	if p := b.Follow(b.Post(s.URL+"/authorize", with())); p.Response(t).Get("code") == "" { // and a posted request
		t.Errorf("posted: %d %s", p.Status, p.Location())
	}
}

// A store that can't be read is no "no": prompt=none is told to come again, everybody else is asked.
func TestMemoryThatCannotBeRead(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	approve(t, b, with())
	s.Outage.Store(true)
	p := b.Authorize("", with("prompt", "none"))
	if got := p.Response(t); got.Get("error") != "temporarily_unavailable" || strings.Contains(p.Location(), "internal") || got.Get("state") != "state-1" {
		t.Errorf("prompt=none: %v", got)
	}
	page := b.Authorize("", with())
	if !onConsent(page) || strings.Contains(page.Body, `id="known"`) {
		t.Fatalf("not asked: %d %s", page.Status, page.Location())
	}
	if got := b.Decide(page, "allow").Response(t); got.Get("code") == "" {
		t.Errorf("decided while the store is away: %v", got)
	}
	s.Outage.Store(false)
	if got := b.Decide(page, "allow").Response(t); got.Get("code") == "" { // shown everything, while less would have been asked by now
		t.Errorf("decided when it is back: %v", got)
	}
}
