package revoke_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// fixture is a server with a grant of Alice's to the print shop, and one to the native application.
type fixture struct {
	*servertest.Server
	t              *testing.T
	grant, natives *store.Grant
}

func newFixture(t *testing.T, change ...func(*server.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t}
	f.Server = servertest.StartWith(t, func(c *server.Config) {
		for _, change := range change {
			change(c)
		}
	})
	f.grant = f.create(registrytest.PrintShop, registrytest.PrintShopUID)
	f.natives = f.create(registrytest.Native, registrytest.NativeUID)
	f.Writes.Store(0)
	return f
}

func (f *fixture) create(clientID, clientUID string) *store.Grant {
	f.t.Helper()
	now := f.Clock.Now().Truncate(time.Second)
	g := &store.Grant{
		ID: token.NewID(), AuthorizationServer: f.Issuer("").Name, ClientID: clientID, ClientUID: clientUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, ExpiresAt: now.Add(7 * 24 * time.Hour), Attempt: token.NewID(),
		Generation: 1, RotatedAt: now, RefreshUntil: now.Add(30 * 24 * time.Hour),
	}
	if err := f.Grants.Create(f.t.Context(), g, store.NoLimit); err != nil {
		f.t.Fatal(err)
	}
	return g
}

// access is a good access token that lives by the grant.
func (f *fixture) access(g *store.Grant) *token.Access {
	now := f.Clock.Now().Truncate(time.Second)
	return &token.Access{
		Issuer: f.URL, Subject: registrytest.User(f.t, f.Issuer(""), registrytest.Alice).Subject, ClientID: g.ClientID, Audience: []string{registrytest.Photos, f.URL},
		Scopes: []string{oauth.ScopeOpenID, registrytest.PhotosRead}, ID: token.NewID(), GrantID: g.ID,
		ClientUID: g.ClientUID, UserUID: registrytest.AliceUID, IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute), AuthTime: now,
	}
}

func (f *fixture) sign(a *token.Access) string {
	f.t.Helper()
	raw, err := a.Sign(f.Issuer("").Keys, keys.ES256, f.Clock.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

// refresh is the grant's refresh token of a generation.
func (f *fixture) refresh(g *store.Grant, generation int64) string {
	return token.Refresh(f.Issuer(""), g.ID, generation)
}

type as func(*http.Request, url.Values)

func asPrintShop(r *http.Request, _ url.Values) {
	r.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
}

func asNative(_ *http.Request, form url.Values) { form.Set("client_id", registrytest.Native) }

func asNobody(*http.Request, url.Values) {}

type reply struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) post(caller as, form url.Values, change ...func(*http.Request)) reply {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.URL+"/revoke", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	caller(r, form)
	r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", oauth.FormMediaType)
	for _, c := range change {
		c(r)
	}
	res, err := f.Client().Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it is read to its end
	body, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func (f *fixture) revoke(caller as, raw string) reply {
	f.t.Helper()
	return f.post(caller, url.Values{"token": {raw}})
}

func wantOK(t *testing.T, got reply) {
	t.Helper()
	if got.status != http.StatusOK || got.body != "{}" || got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got HTTP %d %v %s", got.status, got.header, got.body)
	}
}

func wantError(t *testing.T, got reply, status int, code string) {
	t.Helper()
	var body map[string]string
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != status || body["error"] != code {
		t.Errorf("got HTTP %d %s, want %d %s", got.status, got.body, status, code)
	}
}

// wantRevoked compares which of the two grants are revoked, and that a revocation says why and was the only write.
func (f *fixture) wantRevoked(want ...*store.Grant) {
	f.t.Helper()
	for _, g := range []*store.Grant{f.grant, f.natives} {
		stored, err := f.Grants.Get(f.t.Context(), g.ID)
		if err != nil {
			f.t.Fatal(err)
		}
		expected := ""
		for _, w := range want {
			if w == g {
				expected = store.ReasonRevokedByClient
			}
		}
		if stored.RevokedReason != expected || stored.RevokedAt.IsZero() != (expected == "") {
			f.t.Errorf("the grant of %s is revoked for the reason %q, want %q", g.ClientID, stored.RevokedReason, expected)
		}
	}
	if n := f.Writes.Load(); n != int64(len(want)) {
		f.t.Errorf("%d writes, want %d", n, len(want))
	}
}

func TestRevocation(t *testing.T) {
	for name, test := range map[string]struct {
		caller as
		raw    func(*fixture) string
		native bool
	}{
		"an access token":                         {caller: asPrintShop, raw: func(f *fixture) string { return f.sign(f.access(f.grant)) }},
		"a refresh token":                         {caller: asPrintShop, raw: func(f *fixture) string { return f.refresh(f.grant, 1) }},
		"a public client's refresh token":         {caller: asNative, raw: func(f *fixture) string { return f.refresh(f.natives, 1) }, native: true},
		"a public client's access token":          {caller: asNative, raw: func(f *fixture) string { return f.sign(f.access(f.natives)) }, native: true},
		"a refresh token that has a successor":    {caller: asPrintShop, raw: func(f *fixture) string { f.rotate(); return f.refresh(f.grant, 1) }},
		"the successor":                           {caller: asPrintShop, raw: func(f *fixture) string { f.rotate(); return f.refresh(f.grant, 2) }},
		"a refresh token after its access tokens": {caller: asPrintShop, raw: func(f *fixture) string { f.Clock.Advance(24 * time.Hour); return f.refresh(f.grant, 1) }},
		"a token whose user is gone": {caller: asPrintShop, raw: func(f *fixture) string {
			raw := f.sign(f.access(f.grant))
			f.Publish(registrytest.Without(f.Issuer(""), registrytest.Alice))
			return raw
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			raw, g := test.raw(f), f.grant
			if test.native {
				g = f.natives
			}
			for range 3 { // the second time it is revoked already
				wantOK(t, f.revoke(test.caller, raw))
				f.wantRevoked(g)
			}
			if log := f.Log.String(); strings.Count(log, `"event":"grant_revoked"`) != 1 || !strings.Contains(log, g.ID) || strings.Contains(log, raw) {
				t.Errorf("the log says %s", log)
			}
		})
	}
}

// rotate makes the grant's next generation, which is not a write of the server's.
func (f *fixture) rotate() {
	f.t.Helper()
	if _, err := f.Grants.Rotate(f.t.Context(), f.grant.ID, 1, f.Clock.Now(), f.grant.ExpiresAt); err != nil {
		f.t.Fatal(err)
	}
}

// What a client says of a token's kind is a hint, and no more (RFC 7009 section 2.1).
func TestAWrongHintChangesNothing(t *testing.T) {
	for _, hint := range []string{"access_token", "refresh_token", "id_token", "nonsense"} {
		f := newFixture(t)
		wantOK(t, f.post(asPrintShop, url.Values{"token": {f.refresh(f.grant, 1)}, "token_type_hint": {hint}}))
		f.wantRevoked(f.grant)
		f = newFixture(t)
		wantOK(t, f.post(asNative, url.Values{"token": {f.sign(f.access(f.natives))}, "token_type_hint": {hint}}))
		f.wantRevoked(f.natives)
	}
}

// security.md: revoking another client's token; unknown token.
func TestRevokingAnotherClientsToken(t *testing.T) {
	f := newFixture(t)
	for name, test := range map[string]struct {
		caller as
		raw    string
	}{
		"its access token":            {asNative, f.sign(f.access(f.grant))},
		"its refresh token":           {asNative, f.refresh(f.grant, 1)},
		"a public client's":           {asPrintShop, f.refresh(f.natives, 1)},
		"a public client's, the same": {asPrintShop, f.sign(f.access(f.natives))},
	} {
		t.Run(name, func(t *testing.T) {
			wantOK(t, f.revoke(test.caller, test.raw))
			f.wantRevoked()
		})
	}
}

func TestRevokingAnUnknownToken(t *testing.T) {
	f := newFixture(t)
	iss := f.Issuer("")
	identity := &token.Identity{Issuer: f.URL, Subject: "s", ClientID: registrytest.PrintShop, SessionID: f.grant.ID, IssuedAt: f.Clock.Now(), ExpiresAt: f.Clock.Now().Add(time.Minute), AuthTime: f.Clock.Now()}
	idToken, err := identity.Sign(iss.Keys, keys.RS256, f.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := registrytest.Issuer(t, "https://elsewhere.example.com", f.Clock.Now())
	foreignKey, err := f.access(f.grant).Sign(elsewhere.Keys, keys.ES256, f.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	foreign, expired, recreated := f.access(f.grant), f.access(f.grant), f.access(f.grant)
	foreign.Issuer = elsewhere.URL
	expired.ExpiresAt = f.Clock.Now().Add(-time.Second)
	recreated.ClientUID = "another"
	unborn := *f.grant
	unborn.ID = token.NewID()
	good := f.refresh(f.grant, 1)
	for name, raw := range map[string]string{
		"opaque":                         "opaque",
		"an ID token":                    idToken,
		"signed by another issuer":       foreignKey,
		"another issuer's":               f.sign(foreign),
		"expired":                        f.sign(expired),
		"of a client of the same name":   f.sign(recreated),
		"a grant's id without a secret":  f.grant.ID + ".1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"a refresh token's beginning":    good[:len(good)-1],
		"another issuer's refresh token": token.Refresh(elsewhere, f.grant.ID, 1),
		"a grant that was deleted":       f.refresh(&unborn, 1),
		"a token of it":                  f.sign(f.access(&unborn)),
		"longer than any":                strings.Repeat("a", 8192),
	} {
		t.Run(name, func(t *testing.T) {
			wantOK(t, f.revoke(asPrintShop, raw))
			f.wantRevoked()
		})
	}
}

// A client that was created again has another UID: what belonged to the old one is dead already.
func TestAClientCreatedAgainRevokesNothing(t *testing.T) {
	f := newFixture(t)
	access, refresh := f.sign(f.access(f.grant)), f.refresh(f.grant, 1)
	client := registrytest.Client(t, f.Issuer(""), registrytest.PrintShop)
	client.UID = "another"
	client.Secrets = []registry.Secret{{ID: "one", Digest: f.Issuer("").Keys.ClientDigest("another", "one", time.Time{}, registrytest.PrintShopSecret)}}
	f.Publish(registrytest.WithClient(f.Issuer(""), client))
	for _, raw := range []string{access, refresh} {
		wantOK(t, f.revoke(asPrintShop, raw))
		f.wantRevoked()
	}
}

// A client's own token lives by itself; another client is not told that it is one.
func TestATokenWithoutAGrantCannotBeRevoked(t *testing.T) {
	f := newFixture(t)
	a := f.access(f.grant)
	a.Subject, a.GrantID, a.UserUID, a.AuthTime = a.ClientID, "", "", time.Time{}
	raw := f.sign(a)
	wantError(t, f.revoke(asPrintShop, raw), http.StatusBadRequest, "unsupported_token_type")
	wantOK(t, f.revoke(asNative, raw))
	f.wantRevoked()
}

// The grant behind a token that was got by exchange was made to another client.
func TestATokenThatWasGotByExchangeCannotBeRevoked(t *testing.T) {
	f := newFixture(t)
	a := f.access(f.natives)
	a.ClientID, a.ClientUID, a.Via = registrytest.PrintShop, registrytest.PrintShopUID, []token.Shown{{Party: token.Party{ID: f.natives.ClientID, UID: f.natives.ClientUID}}}
	raw := f.sign(a)
	wantError(t, f.revoke(asPrintShop, raw), http.StatusBadRequest, "unsupported_token_type")
	wantOK(t, f.revoke(asNative, raw))
	f.wantRevoked()
}

func TestRevocationByNobody(t *testing.T) {
	f := newFixture(t)
	raw := f.refresh(f.grant, 1)
	nobodies := map[string]struct {
		caller     as
		challenged bool
	}{
		"nobody":         {asNobody, false},
		"a wrong secret": {func(r *http.Request, _ url.Values) { r.SetBasicAuth(registrytest.PrintShop, "wrong") }, true},
		"no secret":      {func(_ *http.Request, form url.Values) { form.Set("client_id", registrytest.PrintShop) }, false},
		"the access token itself": {func(r *http.Request, _ url.Values) {
			r.Header.Set("Authorization", "Bearer "+f.sign(f.access(f.grant)))
		}, true},
	}
	for name, test := range nobodies {
		t.Run(name, func(t *testing.T) {
			got := f.revoke(test.caller, raw)
			wantError(t, got, http.StatusUnauthorized, "invalid_client")
			f.wantRevoked()
		})
	}
	if n := strings.Count(f.Log.String(), `"event":"revocation_refused"`); n != len(nobodies) {
		t.Errorf("%d of %d refusals are in the audit", n, len(nobodies))
	}
}

func TestBadRevocationRequests(t *testing.T) {
	f := newFixture(t)
	raw := f.refresh(f.grant, 1)
	for name, got := range map[string]reply{
		"no token":      f.post(asPrintShop, url.Values{}),
		"a token twice": f.post(asPrintShop, url.Values{"token": {raw, raw}}),
		"a query":       f.post(asPrintShop, url.Values{}, func(r *http.Request) { r.URL.RawQuery = "token=" + raw }),
		"JSON":          f.post(asPrintShop, url.Values{"token": {raw}}, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }),
		"two methods":   f.post(asPrintShop, url.Values{"token": {raw}, "client_id": {registrytest.PrintShop}, "client_secret": {registrytest.PrintShopSecret}}),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, got, http.StatusBadRequest, "invalid_request") })
	}
	f.wantRevoked()
}

// A single-page application gives its token back from its own origin.
func TestScriptsOfOtherOriginsRevoke(t *testing.T) {
	f := newFixture(t)
	got := f.post(asNative, url.Values{"token": {f.refresh(f.natives, 1)}}, func(r *http.Request) { r.Header.Set("Origin", "https://app.example") })
	wantOK(t, got)
	if got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("headers are %v", got.header)
	}
	f.wantRevoked(f.natives)
}

// failing is a store whose backend can be away for reading, or for writing.
type failing struct {
	store.Grants
	reads, writes *atomic.Bool
}

func (s failing) Get(ctx context.Context, id string) (*store.Grant, error) {
	if s.reads.Load() {
		return nil, errors.New("connection refused")
	}
	return s.Grants.Get(ctx, id)
}

func (s failing) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	if s.writes.Load() {
		return errors.New("connection refused")
	}
	return s.Grants.Revoke(ctx, id, reason, at)
}

// A client that was told 200 would throw away a token that still works (RFC 7009 section 2.2.1).
func TestARevocationThatFailedIsNoSuccess(t *testing.T) {
	for name, fail := range map[string]func(reads, writes *atomic.Bool){
		"the grant can't be read":    func(reads, _ *atomic.Bool) { reads.Store(true) },
		"the grant can't be written": func(_, writes *atomic.Bool) { writes.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			var reads, writes atomic.Bool
			f := newFixture(t, func(c *server.Config) { c.Grants = failing{c.Grants, &reads, &writes} })
			fail(&reads, &writes)
			for _, raw := range []string{f.refresh(f.grant, 1), f.sign(f.access(f.grant))} {
				got := f.revoke(asPrintShop, raw)
				wantError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
				if got.header.Get("Retry-After") == "" {
					t.Error("it doesn't say when to try again")
				}
			}
			f.wantRevoked()
		})
	}
}
