package grant

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// refusal changes what would be a good redemption: the world, the code before it is sealed, the request after it was.
type refusal struct {
	code  func(c *token.Code)
	form  func(t *testing.T, f *fixture, req url.Values)
	world func(t *testing.T, f *fixture)
	// want is invalid_grant when empty.
	want oauth.Code
}

// Security: code with another client, wrong redirect_uri or verifier, expired, forged, truncated; PKCE downgrade both ways;
// re-created client or user; deleted or disabled client.
func TestRefused(t *testing.T) {
	set := func(name, value string) func(*testing.T, *fixture, url.Values) {
		return func(_ *testing.T, _ *fixture, req url.Values) { req.Set(name, value) }
	}
	replaceCode := func(change func(sealed string) string) func(*testing.T, *fixture, url.Values) {
		return func(_ *testing.T, _ *fixture, req url.Values) { req.Set("code", change(req.Get("code"))) }
	}
	tests := map[string]refusal{
		"code of another client": {code: func(c *token.Code) { c.ClientID, c.ClientUID = registrytest.Native, registrytest.NativeUID }},
		"code of another client, presented by a public one": {form: func(_ *testing.T, _ *fixture, req url.Values) {
			req.Set("client_id", registrytest.Native)
			req.Del("client_secret")
		}},
		"code of a client that was created again":                      {code: func(c *token.Code) { c.ClientUID = "older" }},
		"code of a user that was created again":                        {code: func(c *token.Code) { c.UserUID = "older" }},
		"wrong redirect_uri":                                           {form: set("redirect_uri", registrytest.PrintShopRedirect+"/")},
		"redirect_uri in other case":                                   {form: set("redirect_uri", strings.ToUpper(registrytest.PrintShopRedirect))},
		"redirect_uri absent":                                          {form: set("redirect_uri", "")},
		"wrong verifier":                                               {form: set("code_verifier", strings.Repeat("v", 43))},
		"PKCE downgrade: no verifier":                                  {form: set("code_verifier", "")},
		"PKCE downgrade: code without a challenge":                     {code: func(c *token.Code) { c.Challenge = "" }},
		"PKCE downgrade: neither":                                      {code: func(c *token.Code) { c.Challenge = "" }, form: set("code_verifier", "")},
		"PKCE downgrade: plain":                                        {code: func(c *token.Code) { c.Challenge = verifier }},
		"PKCE downgrade: no verifier, of a client that may do without": {form: set("code_verifier", ""), world: proofKeyOptional},
		"PKCE downgrade: a verifier, but no challenge, of a client that may do without": {
			code: func(c *token.Code) { c.Challenge = "" }, world: proofKeyOptional},
		"PKCE downgrade: neither, of a public client that may do without": {
			code: func(c *token.Code) { c.Challenge = "" }, form: set("code_verifier", ""), world: func(t *testing.T, f *fixture) {
				proofKeyOptional(t, f)
				f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Public = true })
			}, want: oauth.InvalidClient},
		"PKCE: the challenge presented as the verifier": {form: set("code_verifier", challenge(verifier))},
		"PKCE: verifier too short": {
			code: func(c *token.Code) { c.Challenge = challenge(verifier[:42]) }, form: set("code_verifier", verifier[:42])},
		"PKCE: verifier too long": {
			code: func(c *token.Code) { c.Challenge = challenge(strings.Repeat("v", 129)) }, form: set("code_verifier", strings.Repeat("v", 129))},
		"PKCE: verifier of other characters": {
			code: func(c *token.Code) { c.Challenge = challenge(verifier + "é") }, form: set("code_verifier", verifier+"é")},
		"expired": {world: func(_ *testing.T, f *fixture) { f.now = f.now.Truncate(time.Second).Add(time.Minute) }},
		"forged":  {form: set("code", "forged")},
		"forged: one bit": {form: replaceCode(func(s string) string {
			middle := len(s) / 2
			other := "A"
			if s[middle] == 'A' {
				other = "B"
			}
			return s[:middle] + other + s[middle+1:]
		})},
		"truncated":           {form: replaceCode(func(s string) string { return s[:len(s)-4] })},
		"with something more": {form: replaceCode(func(s string) string { return s + "AAAA" })},
		"with a line break":   {form: replaceCode(func(s string) string { return s[:8] + "\n" + s[8:] })},
		"token confusion: a sealed value of another step": {form: func(t *testing.T, f *fixture, req url.Values) {
			sealed, err := f.iss.Keys.Seal(f.iss.URL, "session", []byte(`{"id":"x"}`), f.now)
			if err != nil {
				t.Fatal(err)
			}
			req.Set("code", sealed)
		}},
		"token confusion: a code of another issuer with the same keys": {world: func(_ *testing.T, f *fixture) {
			c := *f.iss.Config
			c.URL += "/other"
			f.iss.Config = &c
		}},
		"token confusion: an access token": {form: func(t *testing.T, f *fixture, req url.Values) {
			req.Set("code", wantIssued(t, f.redeem(form(f.seal(t, f.code())))).AccessToken)
		}},
		"deleted client": {want: oauth.InvalidClient, world: func(_ *testing.T, f *fixture) {
			f.iss = registrytest.Without(f.iss, registrytest.PrintShop)
		}},
		"deleted user": {world: func(_ *testing.T, f *fixture) { f.iss = registrytest.Without(f.iss, registrytest.Alice) }},
		"password changed since": {world: func(t *testing.T, f *fixture) {
			f.withAlice(t, func(u *registry.User) { u.CredentialVersion = "2" })
		}},
		"sign-in before a cut-off of the user's": {world: func(t *testing.T, f *fixture) {
			f.withAlice(t, func(u *registry.User) { u.RevokedBefore = registry.Cutoff(f.now.Add(-30 * time.Second)) })
		}},
		"redirect URI withdrawn since": {world: func(t *testing.T, f *fixture) {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) {
				c.RedirectURIs = []registry.RedirectURI{registry.ParseRedirectURI("https://print.example/other", false)}
			})
		}},
		"access withdrawn since": {world: func(t *testing.T, f *fixture) {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Access = c.Access[1:] })
		}},
		"all of the scopes withdrawn since": {world: func(t *testing.T, f *fixture) {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Access = []registry.Access{{Resource: c.Access[0].Resource}} })
		}},
		"group left since": {
			code:  func(c *token.Code) { c.Targets = []store.Target{at(registrytest.Photos, registrytest.PhotosWrite)} },
			world: func(t *testing.T, f *fixture) { f.withAlice(t, func(u *registry.User) { u.Groups = nil }) },
		},
		"identity scopes withdrawn since": {
			code: func(c *token.Code) { c.Scopes, c.Targets = []string{oauth.ScopeOpenID}, nil },
			world: func(t *testing.T, f *fixture) {
				f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Scopes = nil })
			},
		},
		"access to the resource named withdrawn since": {
			code: func(c *token.Code) {
				c.Targets = append(c.Targets, at(registrytest.Orders, registrytest.OrdersRead))
			},
			form: set("resource", registrytest.Orders),
			world: func(t *testing.T, f *fixture) {
				f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Access = c.Access[:1] })
			},
		},
	}
	base := newFixture(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f, issuer := *base, *base.iss
			f.iss = &issuer
			config := base.handler.Config
			config.Now = f.clock
			f.handler = New(config)
			code := f.code()
			if test.code != nil {
				test.code(code)
			}
			req := form(f.seal(t, code))
			if test.form != nil {
				test.form(t, &f, req)
			}
			if test.world != nil {
				test.world(t, &f)
			}
			if test.want == "" {
				test.want = oauth.InvalidGrant
			}
			wantRefused(t, f.redeem(req), test.want)
			if _, err := f.grants.Get(t.Context(), code.ID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the refused request left a grant behind: %v", err)
			}
		})
	}
}

func proofKeyOptional(t *testing.T, f *fixture) {
	f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.ProofKeyOptional = true })
}

// A confidential client that is declared so may do without PKCE; where it uses it, it counts.
func TestProofKeyOptional(t *testing.T) {
	f := newFixture(t)
	proofKeyOptional(t, f)
	wantIssued(t, f.redeem(form(f.seal(t, f.code()))))
	code := f.code()
	code.Challenge = ""
	req := form(f.seal(t, code))
	req.Del("code_verifier")
	wantIssued(t, f.redeem(req))
}

func TestVerified(t *testing.T) {
	public := &registry.Client{Public: true, ProofKeyOptional: true}
	if verified(public, "", "") {
		t.Error("a public client does without PKCE")
	}
}

// TestNarrowed: what is not allowed any more is left out, the rest is issued.
func TestNarrowed(t *testing.T) {
	f := newFixture(t)
	code := f.code()
	sealed := f.seal(t, code)
	f.withAlice(t, func(u *registry.User) { u.Groups = nil })
	got := wantIssued(t, f.redeem(form(sealed)))
	if got.Scope != registrytest.PhotosRead {
		t.Errorf("scope %q, want %s: photos.write wants a group that Alice has left", got.Scope, registrytest.PhotosRead)
	}
	a, err := f.active(got.AccessToken, registrytest.Photos)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Grant.Targets) != 1 || len(a.Grant.Targets[0].Scopes) != 1 || a.Grant.Targets[0].Scopes[0] != registrytest.PhotosRead {
		t.Errorf("the grant has %v", a.Grant.Targets)
	}
}

// TestNoSigner: without a key to sign with, the code is not spent.
func TestNoSigner(t *testing.T) {
	for missing, alg := range map[string]keys.Algorithm{"access token": keys.RS256, "ID token": keys.ES256} {
		t.Run(missing, func(t *testing.T) {
			f := newFixture(t)
			f.onlyKey(t, alg)
			code := f.code()
			code.Scopes = append(code.Scopes, oauth.ScopeOpenID)
			wantRefused(t, f.redeem(form(f.seal(t, code))), oauth.TemporarilyUnavailable)
			if _, err := f.grants.Get(t.Context(), code.ID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the code was spent: %v", err)
			}
		})
	}
}

// onlyKey gives the issuer keys for one algorithm alone.
func (f *fixture) onlyKey(t *testing.T, alg keys.Algorithm) {
	t.Helper()
	var none *keys.Material
	m, _, err := none.Rotate(keys.Schedule{Algorithms: []keys.Algorithm{alg}, Interval: time.Hour, PublishAhead: time.Minute, Keep: time.Hour}, f.now)
	if err != nil {
		t.Fatal(err)
	}
	if f.iss.Keys, err = keys.NewSet(m); err != nil {
		t.Fatal(err)
	}
	f.withClient(t, registrytest.PrintShop, func(c *registry.Client) {
		c.Secrets = []registry.Secret{{ID: "one", Digest: f.iss.Keys.ClientDigest(c.UID, "one", time.Time{}, registrytest.PrintShopSecret)}}
	})
}
