package grant

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

func TestRefresh(t *testing.T) {
	f := newFixture(t)
	first, code := f.approved(t, nil)
	writes := f.counted()
	f.now = f.now.Add(time.Hour)
	second := wantIssued(t, f.refresh(first.RefreshToken))
	writes.want(t, 1, 0, 0)
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken || second.IDToken != "" ||
		second.Scope != "photos.read photos.write" || second.ExpiresIn != 600 || second.TokenType != "Bearer" {
		t.Errorf("got %+v after %+v", second, first)
	}
	id, generation, ok := token.ParseRefresh(f.iss, second.RefreshToken)
	if !ok || id != code.ID || generation != 2 {
		t.Errorf("the successor is of %s, %d, %v", id, generation, ok)
	}
	a, err := f.active(second.AccessToken, registrytest.Photos)
	if err != nil {
		t.Fatal(err)
	}
	at := f.now.Truncate(time.Second)
	if g := a.Grant; g.Generation != 2 || !g.RotatedAt.Equal(at) || !g.ExpiresAt.Equal(at.Add(7*24*time.Hour)) {
		t.Errorf("grant %+v", g)
	}
	if log := f.log.String(); strings.Contains(log, first.RefreshToken) || strings.Contains(log, second.RefreshToken) ||
		strings.Count(log, `"event":"token_issued"`) != 2 {
		t.Errorf("audit %s", log)
	}
}

// The refresh token comes with the grant type, and with offline_access or without openid.
func TestRefreshTokenIssued(t *testing.T) {
	for name, test := range map[string]struct {
		scopes     string
		grantTypes []string
		want       bool
	}{
		"without openid":               {"", []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}, true},
		"openid alone":                 {"openid", []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}, false},
		"openid and offline_access":    {"openid offline_access", []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}, true},
		"not declared, without openid": {"", []string{oauth.GrantAuthorizationCode}, false},
		"not declared, offline_access": {"openid offline_access", []string{oauth.GrantAuthorizationCode}, false},
	} {
		f := newFixture(t)
		f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.GrantTypes = test.grantTypes })
		code := f.code()
		code.Scopes = oauth.SplitScope(test.scopes)
		got := wantIssued(t, f.redeem(form(f.seal(t, code))))
		g := f.stored(t, code.ID)
		if (got.RefreshToken != "") != test.want || (g.Generation == 1) != test.want || g.RefreshUntil.IsZero() == test.want {
			t.Errorf("%s: got %q, grant %+v", name, got.RefreshToken, g)
		}
	}
}

// In the grace window the token that was replaced gets the same successor, and nothing is written.
func TestRefreshRetriedWithinTheGraceWindow(t *testing.T) {
	f := newFixture(t)
	first, code := f.approved(t, nil)
	second := wantIssued(t, f.refresh(first.RefreshToken))
	writes := f.counted()
	f.now = f.now.Truncate(time.Second).Add(grace - time.Nanosecond)
	for range 3 {
		again := wantIssued(t, f.refresh(first.RefreshToken))
		if again.RefreshToken != second.RefreshToken {
			t.Errorf("another successor: %s and %s", again.RefreshToken, second.RefreshToken)
		}
		if _, err := f.active(again.AccessToken, registrytest.Photos); err != nil {
			t.Error(err)
		}
	}
	writes.want(t, 0, 0, 0)
	if g := f.stored(t, code.ID); !g.RevokedAt.IsZero() || g.Generation != 2 {
		t.Errorf("grant %+v", g)
	}
}

// Security: refresh reuse after the grace window: invalid_grant, and the family is revoked.
func TestRefreshReuse(t *testing.T) {
	for name, test := range map[string]struct {
		after time.Duration
		uses  int // of successors, before the first token comes again
	}{
		"after the grace window":                          {grace, 1},
		"in the grace window, when its successor is used": {0, 2},
		"long after": {3 * 24 * time.Hour, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			first, code := f.approved(t, nil)
			last := first
			for range test.uses {
				last = wantIssued(t, f.refresh(last.RefreshToken))
			}
			f.now = f.now.Truncate(time.Second).Add(test.after)
			writes := f.counted()
			wantRefused(t, f.refresh(first.RefreshToken), oauth.InvalidGrant)
			writes.want(t, 0, 0, 1)
			if g := f.stored(t, code.ID); g.RevokedReason != store.ReasonRefreshTokenReused {
				t.Errorf("grant %+v", g)
			}
			wantRefused(t, f.refresh(last.RefreshToken), oauth.InvalidGrant)
			if _, err := f.active(last.AccessToken, registrytest.Photos); !errors.Is(err, token.ErrInactive) {
				t.Errorf("the access token lives on: %v", err)
			}
			if log := f.log.String(); !strings.Contains(log, `"event":"grant_revoked"`) {
				t.Errorf("audit %s", log)
			}
		})
	}
}

// Security: what is refused without a verdict of reuse leaves the grant alive, and writes nothing: a token presented by another client;
// somebody who knows a grant id but no secret; scope or resource widened.
func TestRefreshRefusedAndTheGrantLivesOn(t *testing.T) {
	f := newFixture(t)
	first, code := f.approved(t, nil)
	second := wantIssued(t, f.refresh(first.RefreshToken))
	f.now = f.now.Add(time.Hour)
	writes := f.counted()
	native := func(refreshToken string) url.Values {
		v := refreshForm(refreshToken)
		v.Set("client_id", registrytest.Native)
		v.Del("client_secret")
		return v
	}
	parts := strings.Split(second.RefreshToken, ".")
	other := *f.iss
	other.Keys = registrytest.Keys(t, f.now)
	for name, test := range map[string]struct {
		form url.Values
		want oauth.Code
	}{
		"none":                       {refreshForm(""), oauth.InvalidRequest},
		"another client":             {native(second.RefreshToken), oauth.InvalidGrant},
		"another client, spent":      {native(first.RefreshToken), oauth.InvalidGrant},
		"the grant id alone":         {refreshForm(code.ID), oauth.InvalidGrant},
		"the grant id, no secret":    {refreshForm(code.ID + ".1."), oauth.InvalidGrant},
		"a secret of zeros":          {refreshForm(code.ID + ".1." + strings.Repeat("A", 43)), oauth.InvalidGrant},
		"the secret of another":      {refreshForm(parts[0] + ".1." + parts[2]), oauth.InvalidGrant},
		"one of another grant":       {refreshForm(token.NewID() + "." + parts[1] + "." + parts[2]), oauth.InvalidGrant},
		"one of another issuer":      {refreshForm(token.Refresh(&other, code.ID, 2)), oauth.InvalidGrant},
		"a grant that never was":     {refreshForm(token.Refresh(f.iss, token.NewID(), 1)), oauth.InvalidGrant},
		"a generation to come":       {refreshForm(token.Refresh(f.iss, code.ID, 3)), oauth.InvalidGrant},
		"an access token":            {refreshForm(second.AccessToken), oauth.InvalidGrant},
		"a code":                     {refreshForm(f.seal(t, code)), oauth.InvalidGrant},
		"longer than any":            {refreshForm(second.RefreshToken + strings.Repeat("A", 4096)), oauth.InvalidGrant},
		"scope widened":              {refreshForm(second.RefreshToken, "scope", "photos.read orders.read"), oauth.InvalidScope},
		"scope widened to openid":    {refreshForm(second.RefreshToken, "scope", "openid photos.read"), oauth.InvalidScope},
		"scope unknown":              {refreshForm(second.RefreshToken, "scope", "photos.delete"), oauth.InvalidScope},
		"scope of blanks alone":      {refreshForm(second.RefreshToken, "scope", " "), oauth.InvalidScope},
		"resource widened":           {refreshForm(second.RefreshToken, "resource", registrytest.Orders), oauth.InvalidTarget},
		"resource unknown":           {refreshForm(second.RefreshToken, "resource", "https://nowhere.svc"), oauth.InvalidTarget},
		"two resources":              {refreshForm(second.RefreshToken, "resource", registrytest.Photos, "resource", registrytest.Orders), oauth.InvalidTarget},
		"the issuer as the resource": {refreshForm(second.RefreshToken, "resource", f.iss.URL), oauth.InvalidTarget},
		"wrong secret of the client": {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken},
			"client_id": {registrytest.PrintShop}, "client_secret": {"wrong"}}, oauth.InvalidClient},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, f.redeem(test.form), test.want) })
	}
	// Only a generation to come was tried, and failed: nothing in memory is known to be live.
	if n := writes.rotations.Swap(0); n > 1 {
		t.Errorf("%d compare-and-swaps", n)
	}
	writes.want(t, 0, 0, 0)
	if g := f.stored(t, code.ID); !g.RevokedAt.IsZero() || g.Generation != 2 {
		t.Errorf("grant %+v", g)
	}
	wantIssued(t, f.refresh(second.RefreshToken))
}

// All that redemption checked is checked again.
func TestRefreshChecksAgain(t *testing.T) {
	for name, test := range map[string]struct {
		world func(t *testing.T, f *fixture)
		want  oauth.Code
	}{
		"deleted user": {func(_ *testing.T, f *fixture) { f.iss = registrytest.Without(f.iss, registrytest.Alice) }, oauth.InvalidGrant},
		"user created again": {func(t *testing.T, f *fixture) {
			f.withAlice(t, func(u *registry.User) { u.UID = "another" })
		}, oauth.InvalidGrant},
		"client created again": {func(t *testing.T, f *fixture) {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) {
				c.UID = "another"
				c.Secrets = []registry.Secret{{ID: "one", Digest: f.iss.Keys.ClientDigest(c.UID, "one", time.Time{}, registrytest.PrintShopSecret)}}
			})
		}, oauth.InvalidGrant},
		"deleted client": {func(_ *testing.T, f *fixture) { f.iss = registrytest.Without(f.iss, registrytest.PrintShop) }, oauth.InvalidClient},
		"grant type withdrawn": {func(t *testing.T, f *fixture) {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.GrantTypes = c.GrantTypes[:1] })
		}, oauth.UnauthorizedClient},
		"access withdrawn by the owner": {func(t *testing.T, f *fixture) {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Access = c.Access[1:] })
		}, oauth.InvalidGrant},
		"scopes withdrawn": {func(t *testing.T, f *fixture) {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Access = []registry.Access{{Resource: c.Access[0].Resource}} })
		}, oauth.InvalidGrant},
		"offline_access withdrawn": {func(t *testing.T, f *fixture) {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Scopes = []string{oauth.ScopeOpenID} })
		}, oauth.InvalidGrant},
		"revoked": {func(t *testing.T, f *fixture) {
			for _, g := range f.allGrants(t) {
				if err := f.grants.Revoke(t.Context(), g.ID, store.ReasonSignedOut, f.now); err != nil {
					t.Fatal(err)
				}
			}
		}, oauth.InvalidGrant},
		"deleted grant": {func(t *testing.T, f *fixture) {
			for _, g := range f.allGrants(t) {
				if err := f.grants.Delete(t.Context(), g.ID); err != nil {
					t.Fatal(err)
				}
			}
		}, oauth.InvalidGrant},
		"left alone for too long": {func(_ *testing.T, f *fixture) { f.now = f.now.Truncate(time.Second).Add(7 * 24 * time.Hour) }, oauth.InvalidGrant},
		"another issuer, even with the same keys": {func(_ *testing.T, f *fixture) {
			c := *f.iss.Config
			c.Name = "another"
			f.iss.Config = &c
		}, oauth.InvalidGrant},
		"the idle lifetime was shortened": {func(_ *testing.T, f *fixture) {
			f.now = f.now.Add(2 * time.Hour)
			c := *f.iss.Config
			c.Lifetimes.RefreshTokenIdle = time.Hour
			f.iss.Config = &c
		}, oauth.InvalidGrant},
		"no key to sign with": {func(_ *testing.T, f *fixture) {
			c := *f.iss.Config
			c.AccessTokenAlgorithm = "ES384"
			f.iss.Config = &c
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.IDTokenAlgorithm = "ES384" })
		}, oauth.TemporarilyUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			first, _ := f.approved(t, func(c *token.Code) { c.Scopes = []string{oauth.ScopeOpenID, oauth.ScopeOfflineAccess} })
			test.world(t, f)
			writes := f.counted()
			wantRefused(t, f.refresh(first.RefreshToken), test.want)
			writes.want(t, 0, 0, 0)
		})
	}
}

func (f *fixture) allGrants(t testing.TB) []*store.Grant {
	t.Helper()
	all, err := f.grants.Find(t.Context(), store.Query{AuthorizationServer: f.iss.Name, UserUID: registrytest.AliceUID})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d grants, %v", len(all), err)
	}
	return all
}

// Nothing is refreshed for longer than the issuer's absolute lifetime, however often, and no access token outlives the grant.
func TestRefreshAbsoluteLifetime(t *testing.T) {
	f := newFixture(t)
	begin := f.now.Truncate(time.Second)
	last, code := f.approved(t, nil)
	until := begin.Add(30 * 24 * time.Hour)
	for f.now = begin; !f.now.After(until.Add(-6 * 24 * time.Hour)); f.now = f.now.Add(6 * 24 * time.Hour) {
		last = wantIssued(t, f.refresh(last.RefreshToken))
	}
	f.now = until.Add(-time.Minute)
	spent := last
	last = wantIssued(t, f.refresh(last.RefreshToken))
	if g := f.stored(t, code.ID); !g.ExpiresAt.Equal(f.now.Add(10 * time.Minute)) {
		t.Errorf("the grant ends at %s, its access token at %s", g.ExpiresAt, f.now.Add(10*time.Minute))
	}
	f.now = f.now.Add(20 * time.Second)
	again := wantIssued(t, f.refresh(spent.RefreshToken)) // in the grace window, for which the grant is not prolonged
	if again.ExpiresIn != 9*60+40 || again.RefreshToken != last.RefreshToken {
		t.Errorf("got %+v", again)
	}
	f.now = until
	wantRefused(t, f.refresh(last.RefreshToken), oauth.InvalidGrant)
	if _, err := f.active(last.AccessToken, registrytest.Photos); err != nil {
		t.Errorf("the last access token: %v", err)
	}
}

func TestRefreshNarrowed(t *testing.T) {
	both := []store.Target{at(registrytest.Photos, registrytest.PhotosRead, registrytest.PhotosWrite), at(registrytest.Orders, registrytest.OrdersRead)}
	issuer := "https://login.example.com"
	for _, test := range []struct {
		name      string
		targets   []store.Target
		extra     []string
		scope     string
		audience  []any
		withID    bool
		wantError oauth.Code
	}{
		{name: "all", targets: both[:1], scope: "openid offline_access photos.read photos.write", audience: []any{registrytest.Photos, issuer}, withID: true},
		{name: "one scope", targets: both[:1], extra: []string{"scope", "photos.read"}, scope: "photos.read", audience: []any{registrytest.Photos}},
		{name: "one scope and openid", targets: both[:1], extra: []string{"scope", "photos.read openid"}, scope: "openid photos.read",
			audience: []any{registrytest.Photos, issuer}, withID: true},
		{name: "identity alone", targets: both[:1], extra: []string{"scope", "openid"}, scope: "openid", audience: []any{issuer}, withID: true},
		{name: "identity alone, resource named", targets: both[:1], extra: []string{"scope", "openid", "resource", registrytest.Photos}, scope: "openid",
			audience: []any{registrytest.Photos, issuer}, withID: true},
		{name: "one of two resources", targets: both, extra: []string{"resource", registrytest.Orders}, scope: "openid offline_access orders.read",
			audience: []any{registrytest.Orders, issuer}, withID: true},
		{name: "one of two resources, another's scope", targets: both, extra: []string{"resource", registrytest.Orders, "scope", "photos.read"},
			wantError: oauth.InvalidScope},
		{name: "none of two resources", targets: both, wantError: oauth.InvalidTarget},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			code := f.code()
			code.Scopes, code.Targets = []string{oauth.ScopeOpenID, oauth.ScopeOfflineAccess}, test.targets
			req := form(f.seal(t, code))
			req.Set("resource", registrytest.Photos)
			first := wantIssued(t, f.redeem(req))
			w := f.refresh(first.RefreshToken, test.extra...)
			if test.wantError != "" {
				wantRefused(t, w, test.wantError)
				return
			}
			got := wantIssued(t, w)
			if aud := claims(t, got.AccessToken)["aud"]; got.Scope != test.scope || !reflect.DeepEqual(aud, test.audience) || (got.IDToken != "") != test.withID {
				t.Errorf("scope %q, aud %v, ID token %v", got.Scope, aud, got.IDToken != "")
			}
			// What was narrowed is not lost.
			again := wantIssued(t, f.refresh(got.RefreshToken, "resource", registrytest.Photos))
			if again.Scope != "openid offline_access photos.read photos.write" {
				t.Errorf("afterwards the scope is %q", again.Scope)
			}
		})
	}
}

// OpenID Connect Core section 12.2: the same sub, auth_time and sid, another iat, no nonce.
func TestRefreshedIDToken(t *testing.T) {
	f := newFixture(t)
	first, _ := f.approved(t, func(c *token.Code) {
		c.Scopes, c.Nonce, c.IDTokenClaims = []string{oauth.ScopeOpenID, oauth.ScopeOfflineAccess, oauth.ScopeProfile}, "n-1", []string{"email"}
	})
	f.now = f.now.Add(time.Hour)
	second := wantIssued(t, f.refresh(first.RefreshToken))
	before, after := claims(t, first.IDToken), claims(t, second.IDToken)
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "sid", "acr", "amr", "name", "email", "azp"} {
		if !reflect.DeepEqual(before[name], after[name]) {
			t.Errorf("%s was %v and is %v", name, before[name], after[name])
		}
	}
	if before["nonce"] != "n-1" || after["nonce"] != nil || after["iat"] != float64(f.now.Unix()) || before["at_hash"] == after["at_hash"] || after["email"] == nil {
		t.Errorf("before %v\nafter %v", before, after)
	}
}

// A client that is declared so keeps its refresh token; that it is in use is written down a few times within its idle lifetime.
func TestRefreshWithoutRotation(t *testing.T) {
	f := newFixture(t)
	f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.RotateRefreshTokens = false })
	first, code := f.approved(t, nil)
	begin, writes := f.now, f.counted()
	for ; f.now.Before(begin.Add(28 * 24 * time.Hour)); f.now = f.now.Add(4 * time.Hour) {
		got := wantIssued(t, f.refresh(first.RefreshToken))
		if got.RefreshToken != first.RefreshToken {
			t.Fatal("the refresh token was replaced")
		}
		if _, err := f.active(got.AccessToken, registrytest.Photos); err != nil {
			t.Fatalf("after %s: %v", f.now.Sub(begin), err)
		}
	}
	writes.want(t, 0, 15, 0) // every 44 hours, the first time the quarter of a week, 42 hours, is over
	f.now = f.stored(t, code.ID).RotatedAt.Add(7 * 24 * time.Hour)
	wantRefused(t, f.refresh(first.RefreshToken), oauth.InvalidGrant)
}

// A public client's refresh tokens are always replaced, whatever else is declared (RFC 9700 section 4.14.2).
func TestPublicClientsRefreshTokensRotate(t *testing.T) {
	f := newFixture(t)
	f.withClient(t, registrytest.Native, func(c *registry.Client) { c.RotateRefreshTokens = false })
	code := f.code()
	code.ClientID, code.ClientUID, code.RedirectURI = registrytest.Native, registrytest.NativeUID, registrytest.NativePrivate
	req := form(f.seal(t, code))
	req.Set("client_id", registrytest.Native)
	req.Del("client_secret")
	req.Set("redirect_uri", code.RedirectURI)
	first := wantIssued(t, f.redeem(req))
	second := wantIssued(t, f.redeem(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}, "client_id": {registrytest.Native}}))
	if second.RefreshToken == first.RefreshToken {
		t.Error("the refresh token was not replaced")
	}
}

// One compare-and-swap wins; all that come at once get the same successor.
func TestRefreshHundredAtOnce(t *testing.T) {
	f := newFixture(t)
	first, code := f.approved(t, nil)
	answers := make([]*httptest.ResponseRecorder, 100)
	start := make(chan struct{})
	var done sync.WaitGroup
	for i := range answers {
		done.Go(func() {
			<-start
			answers[i] = f.refresh(first.RefreshToken)
		})
	}
	close(start)
	done.Wait()
	want := token.Refresh(f.iss, code.ID, 2)
	for _, w := range answers {
		if got := wantIssued(t, w); got.RefreshToken != want {
			t.Errorf("got %s, want %s", got.RefreshToken, want)
		}
	}
	if g := f.stored(t, code.ID); g.Generation != 2 || !g.RevokedAt.IsZero() {
		t.Errorf("grant %+v", g)
	}
}
