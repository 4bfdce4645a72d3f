package authorize_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/token"
)

// id_token_hint and `sub` in claims name the user who must be there (OpenID Connect Core sections 3.1.2.1 and 5.5.1).
func TestRequestThatNamesAUser(t *testing.T) {
	s := servertest.Start(t)
	alice, bob := s.NewBrowser(), s.NewBrowser()
	hint := approve(t, alice, with()).IDToken
	p := bob.SignIn(bob.Authorize("", with()), registrytest.Bob, registrytest.BobPassword)
	redeem(t, s, bob.Decide(p, "allow").Response(t).Get("code"))
	sub := registrytest.User(t, s.Issuer(""), registrytest.Alice).Subject
	for name, naming := range map[string]url.Values{
		"id_token_hint": with("id_token_hint", hint),
		"claims":        with("claims", `{"id_token":{"sub":{"value":"`+sub+`"}}}`),
		"both":          with("id_token_hint", hint, "claims", `{"id_token":{"sub":{"value":"`+sub+`"}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			silent := url.Values{"prompt": {"none"}}
			for k, v := range naming {
				silent[k] = v
			}
			if got := opened(t, s, alice.Authorize("", silent)); got.User != registrytest.Alice {
				t.Errorf("the user herself: %s", got.User)
			}
			if got := bob.Authorize("", silent).Response(t); got.Get("error") != "login_required" || got.Has("code") {
				t.Errorf("another, prompt=none: %v", got)
			}
			s.Clock.Advance(time.Second)
			again := s.NewBrowser()
			p := again.Authorize("", naming)
			if p = again.SignIn(p, registrytest.Bob, registrytest.BobPassword); p.Response(t).Get("error") != "login_required" {
				t.Errorf("another signs in: %d %s", p.Status, p.Location())
			}
			s.Clock.Advance(time.Second)
			if p := again.Authorize("", naming); !onLogin(p) {
				t.Errorf("another is there: %d %s", p.Status, p.Location())
			} else if got := opened(t, s, signIn(again, p)); got.User != registrytest.Alice {
				t.Errorf("then the user: %s", got.User)
			}
		})
	}
	// An ID token that has expired says as well whom the client means.
	s.Clock.Advance(time.Hour)
	opened(t, s, alice.Authorize("", with("id_token_hint", hint, "prompt", "none")))
	if got := alice.Authorize("", with("id_token_hint", hint, "claims", `{"id_token":{"sub":{"value":"bob"}}}`)).Response(t).Get("error"); got != "invalid_request" {
		t.Errorf("two different users: %s", got)
	}
}

// With pairwise subjects, the client's own name for the user counts.
func TestRequestThatNamesAUserPairwise(t *testing.T) {
	s := servertest.Start(t)
	change(t, s, func(c *registry.Client) { c.Sector = "demo/print.example" })
	b := s.NewBrowser()
	approve(t, b, with())
	iss := s.Issuer("")
	user := registrytest.User(t, iss, registrytest.Alice)
	for sub, want := range map[string]string{iss.Subject(registrytest.Client(t, iss, registrytest.PrintShop), user): "", user.Subject: "login_required"} {
		got := b.Authorize("", with("prompt", "none", "claims", `{"id_token":{"sub":{"value":"`+sub+`"}}}`)).Response(t)
		if got.Get("error") != want || got.Has("code") != (want == "") {
			t.Errorf("%v, want %q", got, want)
		}
	}
}

// Row: token confusion: access token as id_token_hint; another issuer's, another client's, a forged one.
func TestTokenConfusionAtIDTokenHint(t *testing.T) {
	s := servertest.Start(t, "", "/other")
	b := s.NewBrowser()
	got := approve(t, b, with())
	iss, now := s.Issuer(""), s.Clock.Now()
	sign := func(change func(*token.Identity)) string {
		id := &token.Identity{Issuer: s.URL, Subject: registrytest.User(t, iss, registrytest.Alice).Subject, ClientID: registrytest.PrintShop,
			AccessToken: "a", IssuedAt: now, ExpiresAt: now.Add(time.Minute), AuthTime: now}
		change(id)
		raw, err := id.Sign(iss.Keys, "RS256", now)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	parts := strings.Split(got.IDToken, ".")
	other, err := (&token.Identity{Issuer: s.URL + "/other", Subject: "x", ClientID: registrytest.PrintShop, AccessToken: "a", IssuedAt: now,
		ExpiresAt: now.Add(time.Minute), AuthTime: now}).Sign(s.Issuer("/other").Keys, "RS256", now)
	if err != nil {
		t.Fatal(err)
	}
	for name, hint := range map[string]string{
		"access token":     got.AccessToken,
		"another client's": sign(func(i *token.Identity) { i.ClientID = registrytest.Native }),
		"another issuer's": other,
		"another iss":      sign(func(i *token.Identity) { i.Issuer = "https://evil.example" }),
		"unsigned":         "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + ".",
		"signature gone":   parts[0] + "." + parts[1] + ".",
		"nonsense":         "x",
	} {
		for _, prompt := range []string{"none", "login"} {
			if got := b.Authorize("", with("id_token_hint", hint, "prompt", prompt)).Response(t); got.Get("error") != "invalid_request" || got.Has("code") {
				t.Errorf("%s, prompt=%s: %v", name, prompt, got)
			}
		}
	}
	opened(t, s, b.Authorize("", with("id_token_hint", sign(func(*token.Identity) {}), "prompt", "none")))
}

// An essential acr that there isn't is an error at once; a voluntary one is not (OpenID Connect Core section 5.5.1.1).
func TestEssentialACR(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	if got := b.Authorize("", with("claims", `{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`)).Response(t); got.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("%v", got)
	}
	approve(t, b, with())
	for _, params := range []url.Values{with("acr_values", "phr "+token.ACRPassword), with("acr_values", "phr"), with("claims", `{"id_token":{"acr":{"essential":true,"value":"`+token.ACRPassword+`"}}}`)} {
		opened(t, s, b.Authorize("", params))
	}
}

// max_age and prompt=login sign in again where the session is not young enough, and only there (section 3.1.2.1).
func TestMaxAgeAndPromptLogin(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	approve(t, b, with("max_age", "15000"))
	first := opened(t, s, b.Authorize("", with("max_age", "10000")))
	s.Clock.Advance(2 * time.Second)
	for _, again := range []url.Values{with("max_age", "1"), with("max_age", "0"), with("prompt", "login"), with("prompt", "select_account")} {
		s.Clock.Advance(time.Second)
		p := b.Authorize("", again)
		if !onLogin(p) {
			t.Fatalf("%v: not asked to sign in: %d %s", again, p.Status, p.Location())
		}
		s.Clock.Advance(2 * time.Second)
		code := opened(t, s, signIn(b, p)) // the consent is remembered of the first session
		if !code.AuthTime.After(first.AuthTime) || code.SessionID == first.SessionID || code.KeepUntil.IsZero() {
			t.Errorf("%v: %+v, first %+v", again, code, first)
		}
		first = code
	}
}

// Parameters that are for pages alone, and those that nobody knows, change nothing (section 3.1.2.1).
func TestToleratedParameters(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	params := with("display", "popup", "ui_locales", "se de", "claims_locales", "se", "login_hint", "buffy@localhost", "extra", "foobar")
	p := b.Authorize("", params)
	if p.Attr("username", "value") != "buffy@localhost" {
		t.Errorf("login_hint: %q", p.Attr("username", "value"))
	}
	opened(t, s, b.Decide(signIn(b, p), "allow"))
}

// A client that may do without PKCE gets a code without a challenge; one that begins it has to end it, and plain stays out.
func TestProofKeyOptional(t *testing.T) {
	s := servertest.Start(t)
	without := with("code_challenge", "", "code_challenge_method", "")
	change(t, s, func(c *registry.Client) { c.ProofKeyOptional = true })
	b := s.NewBrowser()
	if code := opened(t, s, b.Decide(signIn(b, b.Authorize("", without)), "allow")); code.Challenge != "" {
		t.Errorf("challenge %q", code.Challenge)
	}
	if code := opened(t, s, b.Decide(b.Authorize("", with()), "allow")); code.Challenge != with().Get("code_challenge") {
		t.Errorf("challenge %q", code.Challenge)
	}
	for _, bad := range []url.Values{with("code_challenge_method", "plain"), with("code_challenge_method", ""), with("code_challenge", "")} {
		if got := b.Authorize("", bad).Response(t).Get("error"); got != "invalid_request" {
			t.Errorf("%v: %q", bad, got)
		}
	}
	change(t, s, func(c *registry.Client) { c.Public = true })
	if got := b.Authorize("", without).Response(t).Get("error"); got != "invalid_request" {
		t.Errorf("public: %q", got)
	}
}

// No nonce is needed for the code flow (section 3.1.2.1).
func TestNonceIsOptional(t *testing.T) {
	s := servertest.Start(t)
	b := s.NewBrowser()
	if code := opened(t, s, b.Decide(signIn(b, b.Authorize("", with("nonce", ""))), "allow")); code.Nonce != "" {
		t.Errorf("nonce %q", code.Nonce)
	}
}
