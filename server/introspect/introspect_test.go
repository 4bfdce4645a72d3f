package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

func TestIntrospection(t *testing.T) {
	f := newFixture(t)
	a := f.access()
	for name, caller := range map[string]as{"a client": nightly(), "a ServiceAccount": f.service()} {
		t.Run(name, func(t *testing.T) {
			got := f.ask(caller, f.sign(a))
			want := map[string]any{
				"active": true, "iss": f.URL, "aud": []any{registrytest.Photos}, "sub": a.Subject, "username": registrytest.Alice,
				"client_id": registrytest.PrintShop, "scope": "openid photos.read", "token_type": "Bearer", "jti": a.ID,
				"iat": float64(a.IssuedAt.Unix()), "exp": float64(a.ExpiresAt.Unix()), "auth_time": float64(a.AuthTime.Unix()),
			}
			if got.status != http.StatusOK || !reflect.DeepEqual(got.claims, want) {
				t.Errorf("got HTTP %d %v\nwant %v", got.status, got.claims, want)
			}
			if got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("it may be cached: %v", got.header)
			}
		})
	}
	if n := f.Writes.Load(); n != 0 {
		t.Errorf("introspection wrote %d times", n)
	}
}

// Of a user whom the client knows by a pairwise subject, the name is not told: it is the same in every sector.
func TestIntrospectionPairwise(t *testing.T) {
	f := newFixture(t)
	shop, _ := f.Issuer("").Client(registrytest.PrintShop)
	pairwise := *shop
	pairwise.Sector = "demo/prints.example"
	f.Publish(registrytest.WithClient(f.Issuer(""), &pairwise))
	a := f.access()
	a.UserUID, a.Subject = "", f.Issuer("").Subject(&pairwise, registrytest.User(t, f.Issuer(""), registrytest.Alice))
	got := f.ask(nightly(), f.sign(a))
	wantActive(t, got)
	if got.claims["sub"] != a.Subject || got.claims["auth_time"] == nil || strings.Contains(got.body, registrytest.Alice) {
		t.Errorf("got %v", got.claims)
	}
}

// A client's own token has no user, and nothing that wants a group counts of it.
func TestIntrospectionOfAClientsOwnToken(t *testing.T) {
	f := newFixture(t)
	a := f.access(registrytest.Photos)
	a.Subject, a.GrantID, a.UserUID, a.AuthTime = a.ClientID, "", "", time.Time{}
	a.Scopes = []string{registrytest.PhotosRead, registrytest.PhotosWrite}
	got := f.ask(nightly(), f.sign(a))
	wantActive(t, got)
	if got.claims["sub"] != registrytest.PrintShop || got.claims["scope"] != registrytest.PhotosRead || got.claims["username"] != nil || got.claims["auth_time"] != nil {
		t.Errorf("got %v", got.claims)
	}
}

// security.md: introspection by a party that is not the audience.
func TestIntrospectionByAPartyThatIsNotTheAudience(t *testing.T) {
	f := newFixture(t)
	photos, orders := f.sign(f.access()), f.sign(f.access(registrytest.Orders))
	userinfo := f.sign(f.access(f.URL))
	account := func(verb string, names ...string) as {
		name := cluster.Account(t)
		if verb != "" {
			cluster.Allow(t, name, verb, names...)
		}
		return asBearer(cluster.Token(t, name, f.URL))
	}
	for name, test := range map[string]struct {
		caller as
		raw    string
	}{
		"a client declared for another resource":      {nightly(), orders},
		"the client itself":                           {asClient(registrytest.PrintShop, registrytest.PrintShopSecret), photos},
		"a ServiceAccount without any right":          {account(""), photos},
		"a ServiceAccount that may read":              {account("get", "photos"), photos},
		"a ServiceAccount that may review another's":  {account("review", "other"), photos},
		"a ServiceAccount of another namespace's API": {account("review"), orders},
		"anybody, of a token for userinfo alone":      {nightly(), userinfo},
		"the same by a ServiceAccount":                {f.service(), userinfo},
	} {
		t.Run(name, func(t *testing.T) { wantInactive(t, f.ask(test.caller, test.raw)) })
	}
	if got := f.ask(account("review"), photos); got.claims["active"] != true {
		t.Errorf("by a ServiceAccount that may review all of its namespace: %s", got.body)
	}
}

// Of a token for several, each is told what concerns it.
func TestIntrospectionTellsNothingAboutOthers(t *testing.T) {
	f := newFixture(t)
	got := f.ask(nightly(), f.sign(f.access(registrytest.Orders, registrytest.Photos, f.URL)))
	wantActive(t, got)
	if !reflect.DeepEqual(got.claims["aud"], []any{registrytest.Photos}) || got.claims["scope"] != "openid photos.read" {
		t.Errorf("got %v", got.claims)
	}
}

// Tokens for kube-apiserver are for it alone, whatever is declared.
func TestIntrospectionOfTokensForKubernetes(t *testing.T) {
	f := newFixture(t)
	const kubernetes = "https://kubernetes.default.svc"
	next := *f.Issuer("")
	config := *next.Config
	config.KubernetesAudiences = []string{kubernetes}
	next.Config = &config
	f.Publish(&next)
	f.changeClient(registrytest.PrintShop, func(c *registry.Client) {
		c.Access = append(slices.Clone(c.Access), registry.Access{Resource: &registry.Resource{Identifier: kubernetes, Kubernetes: true, Introspectors: []string{registrytest.Nightly}}})
	})
	raw := f.sign(f.access(kubernetes))
	name := cluster.Account(t)
	cluster.AllowEverywhere(t, name)
	wantInactive(t, f.ask(nightly(), raw))
	wantInactive(t, f.ask(asBearer(cluster.Token(t, name, f.URL)), raw))
}

func TestWhatEndsATokenAtIntrospection(t *testing.T) {
	for name, end := range map[string]func(*fixture){
		"it expires": func(f *fixture) { f.Clock.Advance(10 * time.Minute) },
		"its grant is revoked": func(f *fixture) {
			if err := f.Grants.Revoke(t.Context(), f.grant.ID, store.ReasonSignedOut, f.Clock.Now()); err != nil {
				t.Fatal(err)
			}
		},
		"its grant is deleted": func(f *fixture) {
			if err := f.Grants.Delete(t.Context(), f.grant.ID); err != nil {
				t.Fatal(err)
			}
		},
		"its client is deleted": func(f *fixture) { f.Publish(registrytest.Without(f.Issuer(""), registrytest.PrintShop)) },
		"its user is deleted":   func(f *fixture) { f.Publish(registrytest.Without(f.Issuer(""), registrytest.Alice)) },
		"its client is created again": func(f *fixture) {
			f.changeClient(registrytest.PrintShop, func(c *registry.Client) { c.UID = "another" })
		},
		"its resource's owner withdraws access": func(f *fixture) {
			f.changeClient(registrytest.PrintShop, func(c *registry.Client) { c.Access = c.Access[1:] })
		},
		"its resource is deleted": func(f *fixture) {
			next := *f.Issuer("")
			next.Resources = next.Resources.With(nil, registrytest.Photos)
			f.Publish(&next)
		},
		"its resource no longer declares the caller": func(f *fixture) {
			photos, _ := f.Issuer("").Resources.Get(registrytest.Photos)
			declared := *photos
			declared.Introspectors = nil
			f.Publish(registrytest.WithResource(f.Issuer(""), &declared))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			raw := f.sign(f.access())
			wantActive(t, f.ask(nightly(), raw))
			end(f)
			wantInactive(t, f.ask(nightly(), raw))
		})
	}
}

// What was granted is not all that counts now.
func TestIntrospectionOfScopesThatAreWithdrawn(t *testing.T) {
	f := newFixture(t)
	a := f.access()
	a.Scopes = []string{oauth.ScopeOpenID, registrytest.PhotosRead, registrytest.PhotosWrite}
	raw := f.sign(a)
	want := func(scope string) {
		t.Helper()
		if got := f.ask(nightly(), raw); got.claims["scope"] != scope {
			t.Errorf("got %v, want %s", got.claims, scope)
		}
	}
	want("openid photos.read photos.write")
	user := registrytest.User(t, f.Issuer(""), registrytest.Alice)
	user.Groups = nil
	f.Publish(registrytest.WithUser(f.Issuer(""), user))
	want("openid photos.read")
	f.changeClient(registrytest.PrintShop, func(c *registry.Client) {
		c.Scopes = nil
		c.Access = slices.Clone(c.Access)
		c.Access[0].Scopes = c.Access[0].Scopes[1:]
	})
	got := f.ask(nightly(), raw)
	wantActive(t, got)
	if scope, ok := got.claims["scope"]; ok {
		t.Errorf("got the scope %v", scope)
	}
}

// security.md: token confusion.
func TestTokenConfusionAtIntrospection(t *testing.T) {
	f := newFixture(t)
	iss := f.Issuer("")
	good := f.sign(f.access())
	parts := strings.Split(good, ".")
	identity := &token.Identity{
		Issuer: f.URL, Subject: f.access().Subject, ClientID: registrytest.Photos, IssuedAt: f.Clock.Now(), ExpiresAt: f.Clock.Now().Add(time.Minute), AuthTime: f.Clock.Now(),
	}
	idToken, err := identity.Sign(iss.Keys, keys.RS256, f.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := registrytest.Issuer(t, "https://elsewhere.example.com", f.Clock.Now())
	foreignKey, err := f.access().Sign(elsewhere.Keys, keys.ES256, f.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	foreign := f.access()
	foreign.Issuer = elsewhere.URL
	signedReply, err := token.SignIntrospection(iss, registrytest.Photos, []byte(`{"active":true}`), f.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"an ID token, for the resource":   idToken,
		"a signed reply of introspection": signedReply,
		"a refresh token":                 token.Refresh(iss, f.grant.ID, 1),
		"another issuer's":                f.sign(foreign),
		"signed by another issuer":        foreignKey,
		"no signature":                    parts[0] + "." + parts[1] + ".",
		"another header":                  "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"a changed payload":               parts[0] + "." + strings.Split(f.sign(f.access()), ".")[1] + "." + parts[2],
		"no JWT":                          "opaque",
		"a line break":                    good + "\n",
		"the grant's id":                  f.grant.ID,
	} {
		t.Run(name, func(t *testing.T) { wantInactive(t, f.ask(nightly(), raw)) })
	}
}

// unreadable is a store whose backend can be away.
type unreadable struct {
	store.Grants
	away *atomic.Bool
}

func (u unreadable) Get(ctx context.Context, id string) (*store.Grant, error) {
	if u.away.Load() {
		return nil, errors.New("connection refused")
	}
	return u.Grants.Get(ctx, id)
}

// What is not known is never a no: a resource server would remember it, and sign its users out.
func TestNotKnownIsNeverInactive(t *testing.T) {
	var away atomic.Bool
	f := newFixture(t, func(c *server.Config) { c.Grants = unreadable{c.Grants, &away} })
	service, raw := f.service(), f.sign(f.access())
	iss := f.Issuer("")
	unheardOf := *iss
	unheardOf.Users = iss.Users.With(nil, registrytest.Alice) // and not among those who are gone
	keyless := *iss
	keyless.Keys = nil
	for name, test := range map[string]struct {
		away bool
		iss  *registry.Issuer
	}{
		"the store can't be read":                            {away: true, iss: iss},
		"a user of whom this replica has not heard yet":      {iss: &unheardOf},
		"an issuer whose keys this replica has not read yet": {iss: &keyless},
	} {
		t.Run(name, func(t *testing.T) {
			away.Store(test.away)
			f.Publish(test.iss)
			defer func() {
				away.Store(false)
				f.Publish(iss)
			}()
			for _, caller := range []as{nightly(), service} {
				got := f.ask(caller, raw)
				wantError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
				if got.header.Get("Retry-After") == "" {
					t.Error("it doesn't say when to try again")
				}
			}
		})
	}
	wantActive(t, f.ask(nightly(), raw))
}

// A token for a resource that the caller may not ask about is not looked up at all.
func TestOthersTokensReadNoStore(t *testing.T) {
	var away atomic.Bool
	f := newFixture(t, func(c *server.Config) { c.Grants = unreadable{c.Grants, &away} })
	away.Store(true)
	wantInactive(t, f.ask(nightly(), f.sign(f.access(registrytest.Orders))))
	foreign := f.access()
	foreign.Issuer = "https://elsewhere.example.com"
	service := f.service()
	wantInactive(t, f.ask(service, f.sign(foreign)))
	if n := f.wire.Requests("subjectaccessreviews"); n != 0 {
		t.Errorf("a foreign token cost %d SubjectAccessReviews", n)
	}
}

func TestBadIntrospectionRequests(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(f.access())
	for name, got := range map[string]reply{
		"no token":        f.post(nightly(), url.Values{}),
		"a token twice":   f.post(nightly(), url.Values{"token": {raw, raw}}),
		"an empty token":  f.post(nightly(), url.Values{"token": {""}}),
		"a query":         f.post(nightly(), url.Values{"token": {raw}}, func(r *http.Request) { r.URL.RawQuery = "token=" + raw }),
		"JSON":            f.post(nightly(), url.Values{"token": {raw}}, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }),
		"too many fields": f.post(nightly(), many(raw)),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, got, http.StatusBadRequest, "invalid_request") })
	}
	wantActive(t, f.post(nightly(), url.Values{"token": {raw}, "token_type_hint": {"refresh_token"}, "unknown": {"x"}}))
	got := f.post(nightly(), nil, func(r *http.Request) { r.Method = http.MethodGet })
	if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: HTTP %d %v", got.status, got.header)
	}
}

func many(raw string) url.Values {
	form := url.Values{"token": {raw}}
	for i := range 100 {
		form.Set(fmt.Sprint("p", i), "x")
	}
	return form
}

// No script of another origin reads about tokens: what calls here has a credential that no browser should have.
func TestScriptsOfOtherOriginsNeverIntrospect(t *testing.T) {
	f := newFixture(t)
	origin := func(r *http.Request) { r.Header.Set("Origin", "https://app.example") }
	got := f.post(nightly(), url.Values{"token": {f.sign(f.access())}}, origin)
	wantActive(t, got)
	preflight := f.post(asNobody, nil, origin, func(r *http.Request) {
		r.Method = http.MethodOptions
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
	})
	if preflight.status != http.StatusMethodNotAllowed {
		t.Errorf("a preflight: HTTP %d", preflight.status)
	}
	for _, header := range []http.Header{got.header, preflight.header} {
		if allowed := header.Get("Access-Control-Allow-Origin"); allowed != "" {
			t.Errorf("readable for %s", allowed)
		}
	}
}
