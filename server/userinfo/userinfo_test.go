package userinfo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
	"github.com/latchkey-io/latchkey/server/token"
)

type fixture struct {
	now     time.Time
	iss     *registry.Issuer
	grants  *memory.Store
	grant   *store.Grant
	handler *Handler
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	clock := func() time.Time { return f.now }
	f.iss = registrytest.Issuer(t, "https://login.example.com", f.now)
	f.grants = memory.New(clock)
	f.grant = &store.Grant{
		ID: token.NewID(), AuthorizationServer: f.iss.Name, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, ExpiresAt: f.now.Add(10 * time.Minute), UserinfoClaims: []string{"locale", "phone_number"},
	}
	f.withPrintShop(t, func(c *registry.Client) { c.Scopes = append(slices.Clone(c.Scopes), oauth.ScopeGroups) })
	alice := registrytest.User(t, f.iss, registrytest.Alice)
	alice.Profile.Locale, alice.Profile.PhoneNumber, alice.Profile.Address.Locality = "en-GB", "+441865276150", "Oxford"
	f.iss = registrytest.WithUser(f.iss, alice)
	if err := f.grants.Create(t.Context(), f.grant, store.NoLimit); err != nil {
		t.Fatal(err)
	}
	f.handler = New(Config{Verifier: &token.Verifier{Grants: f.grants, SignOuts: memory.NewSignOuts(clock), Now: clock, Seen: token.NewSeen()}})
	return f
}

// withPrintShop changes a copy of the client.
func (f *fixture) withPrintShop(t *testing.T, change func(*registry.Client)) {
	t.Helper()
	c := registrytest.Client(t, f.iss, registrytest.PrintShop)
	change(c)
	f.iss = registrytest.WithClient(f.iss, c)
}

// access mints a token of Alice's with the scopes, for the audience, the issuer when none is named.
func (f *fixture) access(t *testing.T, scope string, audience ...string) string {
	t.Helper()
	if audience == nil {
		audience = []string{registrytest.Photos, f.iss.URL}
	}
	u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
	a := &token.Access{
		Issuer: f.iss.URL, Subject: f.iss.Subject(registrytest.Client(t, f.iss, registrytest.PrintShop), u), ClientID: registrytest.PrintShop, Audience: audience, Scopes: oauth.SplitScope(scope),
		ID: token.NewID(), GrantID: f.grant.ID, ClientUID: registrytest.PrintShopUID, UserUID: registrytest.AliceUID,
		IssuedAt: f.now, ExpiresAt: f.now.Add(10 * time.Minute), AuthTime: f.now,
	}
	raw, err := a.Sign(f.iss.Keys, keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func get(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/userinfo", nil)
	r.Header["Authorization"] = authorization
	return r
}

func post(form url.Values, authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/userinfo", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", oauth.FormMediaType)
	r.Header["Authorization"] = authorization
	return r
}

// serve answers as the server does.
func (f *fixture) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	if err := f.handler.Serve(w, r, f.iss); err != nil {
		_ = oauth.WriteBearerError(w, oauth.AsError(err), !errors.Is(err, ErrNoToken)) // a recorder takes everything
	}
	return w
}

func TestUserinfo(t *testing.T) {
	f := newFixture(t)
	u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
	sub := u.Subject
	all := f.access(t, "openid profile email groups photos.read")
	whole := map[string]any{"sub": sub, "name": "Alice Liddell", "preferred_username": "alice", "email": "alice@example.com",
		"email_verified": true, "groups": []any{registrytest.Family}, "locale": "en-GB"}
	asJSON := post(nil, "Bearer "+all)
	asJSON.Header.Set("Content-Type", "application/json")
	bare := httptest.NewRequest(http.MethodPost, "/userinfo", nil)
	bare.Header.Set("Authorization", "Bearer "+all)
	tests := []struct {
		name string
		r    *http.Request
		want map[string]any
	}{
		{"openid", get("Bearer " + f.access(t, "openid")), map[string]any{"sub": sub, "locale": "en-GB"}},
		{"openid profile", get("Bearer " + f.access(t, "openid profile")),
			map[string]any{"sub": sub, "name": "Alice Liddell", "preferred_username": "alice", "locale": "en-GB"}},
		{"a scope that the client does not declare any more", get("Bearer " + f.access(t, "openid phone address")), map[string]any{"sub": sub, "locale": "en-GB"}},
		{"everything", get("Bearer " + all), whole},
		{"scheme in other case", get("bearer " + all), whole},
		{"POST with a header", post(nil, "Bearer "+all), whole},
		{"POST with a header and nothing else", bare, whole},
		{"POST with a header and an unrelated body", asJSON, whole},
		{"POST with a body", post(url.Values{"access_token": {all}}), whole},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := f.serve(test.r)
			var got map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
				t.Fatalf("got %d %s, %v", w.Code, w.Body, err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control %q", w.Header().Get("Cache-Control"))
			}
		})
	}
}

// OpenID Connect Core section 5.3.2: signed, for a client that is declared so, by GET and POST alike.
func TestSigned(t *testing.T) {
	f := newFixture(t)
	for _, alg := range keys.Algorithms() {
		f.withPrintShop(t, func(c *registry.Client) { c.UserinfoAlgorithm = alg })
		raw := f.access(t, "openid profile")
		for _, r := range []*http.Request{get("Bearer " + raw), post(url.Values{"access_token": {raw}})} {
			w := f.serve(r)
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/jwt" || w.Header().Get("Cache-Control") != "no-store" {
				t.Fatalf("%s: %d %v %s", alg, w.Code, w.Header(), w.Body)
			}
			header, claims := decode(t, w.Body.String())
			if header["alg"] != string(alg) || claims["iss"] != f.iss.URL || claims["aud"] != registrytest.PrintShop || claims["name"] != "Alice Liddell" {
				t.Errorf("%s: %v %v", alg, header, claims)
			}
			if w := f.serve(get("Bearer " + w.Body.String())); w.Code != http.StatusUnauthorized {
				t.Errorf("%s: the response is taken for an access token: %d", alg, w.Code)
			}
		}
	}
	f.withPrintShop(t, func(c *registry.Client) { c.UserinfoAlgorithm = "ES384" })
	if w := f.serve(get("Bearer " + f.access(t, "openid"))); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a key: %d %s", w.Code, w.Body)
	}
}

func decode(t *testing.T, raw string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(raw, ".")
	for i, into := range []*map[string]any{&header, &claims} {
		body, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// OpenID Connect Core section 8: what a client of a sector gets is the sub of that sector.
func TestPairwiseSubject(t *testing.T) {
	f := newFixture(t)
	u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
	seen := map[string]bool{u.Subject: true}
	for _, sector := range []string{"demo/print.example", "demo/other.example"} {
		f.withPrintShop(t, func(c *registry.Client) { c.Sector = sector })
		for _, alg := range []keys.Algorithm{"", keys.RS256} {
			f.withPrintShop(t, func(c *registry.Client) { c.UserinfoAlgorithm = alg })
			w := f.serve(get("Bearer " + f.access(t, "openid")))
			body := w.Body.String()
			if alg != "" {
				_, claims := decode(t, body)
				body = claims["sub"].(string)
			}
			if want := f.iss.Keys.PairwiseSubject(sector, u.Subject); !strings.Contains(body, want) || seen[want] && alg == "" {
				t.Errorf("%s %s: %s", sector, alg, body)
			} else {
				seen[want] = true
			}
		}
	}
}

// A client in its own right is nobody.
func TestTokenWithoutUser(t *testing.T) {
	f := newFixture(t)
	a := &token.Access{
		Issuer: f.iss.URL, Subject: registrytest.Nightly, ClientID: registrytest.Nightly, ClientUID: registrytest.NightlyUID, Audience: []string{f.iss.URL},
		Scopes: []string{oauth.ScopeOpenID}, ID: token.NewID(), IssuedAt: f.now, ExpiresAt: f.now.Add(time.Minute),
	}
	raw, err := a.Sign(f.iss.Keys, keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	if w := f.serve(get("Bearer " + raw)); w.Code != http.StatusForbidden {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestRefused: RFC 6750 section 3.1.
func TestRefused(t *testing.T) {
	f := newFixture(t)
	good := f.access(t, "openid")
	inQuery := get()
	inQuery.URL.RawQuery = "access_token=" + good
	asJSON := post(url.Values{"access_token": {good}})
	asJSON.Header.Set("Content-Type", "application/json")
	foreign := newFixture(t).access(t, "openid")
	tests := []struct {
		name   string
		r      *http.Request
		status int
		code   oauth.Code // "" where the challenge names no error
	}{
		{"no token", get(), 401, ""},
		{"no token in a POST", post(nil), 401, ""},
		{"another scheme", get("Basic " + good), 401, ""},
		{"Bearer of nothing", get("Bearer "), 401, ""},
		{"token in the query string", inQuery, 400, oauth.InvalidRequest},
		{"token in header and body", post(url.Values{"access_token": {good}}, "Bearer "+good), 400, oauth.InvalidRequest},
		{"two headers", get("Bearer "+good, "Bearer "+good), 400, oauth.InvalidRequest},
		{"duplicate parameter", post(url.Values{"access_token": {good, good}}), 400, oauth.InvalidRequest},
		{"body of another media type", asJSON, 400, oauth.InvalidRequest},
		{"not a token", get("Bearer x"), 401, oauth.InvalidToken},
		{"token of another issuer", get("Bearer " + foreign), 401, oauth.InvalidToken},
		{"token for a resource server alone", get("Bearer " + f.access(t, "openid", registrytest.Photos)), 401, oauth.InvalidToken},
		{"without openid", get("Bearer " + f.access(t, "profile email")), 403, oauth.InsufficientScope},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := f.serve(test.r)
			challenge := w.Header().Get("WWW-Authenticate")
			if w.Code != test.status || !strings.HasPrefix(challenge, "Bearer ") {
				t.Fatalf("got %d %s, challenge %q, want %d", w.Code, w.Body, challenge, test.status)
			}
			named := strings.Contains(challenge, `error="`+string(test.code)+`"`)
			if test.code == "" && strings.Contains(challenge, "error") || test.code != "" && !named {
				t.Errorf("challenge %q, want error %q", challenge, test.code)
			}
		})
	}
}

// Security: token confusion: an ID token as access token; and what was revoked.
func TestNotActive(t *testing.T) {
	f := newFixture(t)
	u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
	id := &token.Identity{Issuer: f.iss.URL, Subject: u.Subject, ClientID: f.iss.URL, IssuedAt: f.now, ExpiresAt: f.now.Add(time.Minute)}
	raw, err := id.Sign(f.iss.Keys, keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	if w := f.serve(get("Bearer " + raw)); w.Code != http.StatusUnauthorized {
		t.Errorf("ID token: got %d %s", w.Code, w.Body)
	}
	good := f.access(t, "openid")
	if err := f.grants.Revoke(t.Context(), f.grant.ID, store.ReasonCodeReplayed, f.now); err != nil {
		t.Fatal(err)
	}
	if w := f.serve(get("Bearer " + good)); w.Code != http.StatusUnauthorized {
		t.Errorf("revoked: got %d %s", w.Code, w.Body)
	}
}

type brokenStore struct{ store.Grants }

func (brokenStore) Get(context.Context, string) (*store.Grant, error) {
	return nil, errors.New("broken")
}

func TestStoreFails(t *testing.T) {
	f := newFixture(t)
	good := f.access(t, "openid")
	f.handler.Verifier.Grants = brokenStore{}
	if w := f.serve(get("Bearer " + good)); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("got %d %s, want 503", w.Code, w.Body)
	}
}
