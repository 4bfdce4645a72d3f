package grant

import (
	"context"
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

// What is asked for is one API, and there no scope that its owner, or the user's groups, don't allow.
func TestTokenExchangeAsked(t *testing.T) {
	f := newExchange(t)
	f.withClient(t, photosAPI, func(c *registry.Client) {
		photos, orders := c.Access[0], c.Access[1]
		c.Access = []registry.Access{{Resource: photos.Resource, Scopes: photos.Scopes}, {Resource: orders.Resource, Scopes: orders.Scopes[:1]}}
	})
	code := f.code()
	code.Targets = []store.Target{at(registrytest.Photos, registrytest.PhotosRead)}
	subject := wantIssued(t, f.redeem(form(f.seal(t, code)))).AccessToken
	for _, test := range []struct {
		name, resource, audience, scope string
		want                            string
		refused                         oauth.Code
	}{
		{name: "resource and scope", resource: registrytest.Orders, scope: "orders.read", want: "orders.read"},
		{name: "a resource", resource: registrytest.Orders, want: "orders.read"},
		{name: "an audience", audience: registrytest.Orders, want: "orders.read"},
		{name: "both, the same", resource: registrytest.Orders, audience: registrytest.Orders, want: "orders.read"},
		{name: "a scope", scope: "orders.read", want: "orders.read"},
		{name: "less of the same", resource: registrytest.Photos, scope: "photos.read", want: "photos.read"},
		{name: "all of the same", resource: registrytest.Photos, want: "photos.read"},
		{name: "a wider scope of the same", resource: registrytest.Photos, scope: "photos.read photos.write", refused: oauth.InvalidScope},
		{name: "a scope that its owner does not allow", resource: registrytest.Orders, scope: "orders.write", refused: oauth.InvalidScope},
		{name: "one that it allows and one that it does not", resource: registrytest.Orders, scope: "orders.read orders.write", refused: oauth.InvalidScope},
		{name: "a scope of another API", resource: registrytest.Orders, scope: "photos.read", refused: oauth.InvalidScope},
		{name: "openid", resource: registrytest.Orders, scope: "openid orders.read", refused: oauth.InvalidScope},
		{name: "offline_access", resource: registrytest.Orders, scope: "offline_access orders.read", refused: oauth.InvalidScope},
		{name: "a malformed scope", resource: registrytest.Orders, scope: "orders.read\n", refused: oauth.InvalidScope},
		{name: "nothing", refused: oauth.InvalidScope},
		{name: "an unknown API", resource: "https://nowhere.svc", scope: "orders.read", refused: oauth.InvalidTarget},
		{name: "an unknown API and an unknown scope", resource: "https://nowhere.svc", scope: "nothing.read", refused: oauth.InvalidTarget},
		{name: "the issuer", resource: f.iss.URL, refused: oauth.InvalidTarget},
		{name: "two APIs", resource: registrytest.Orders, audience: registrytest.Photos, refused: oauth.InvalidTarget},
		{name: "two APIs, and a scope of one", resource: registrytest.Orders, audience: registrytest.Photos, scope: "orders.read", refused: oauth.InvalidTarget},
		{name: "an audience by another name", audience: ordersAPI, refused: oauth.InvalidTarget},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := f.exchange(photosAPI, subject, "resource", test.resource, "audience", test.audience, "scope", test.scope)
			if test.refused != "" {
				wantRefused(t, w, test.refused)
				return
			}
			if got := wantIssued(t, w); got.Scope != test.want {
				t.Errorf("scope %q, want %q", got.Scope, test.want)
			}
		})
	}
}

// The user's groups count, and not the API's.
func TestTokenExchangeRequiresTheUsersGroups(t *testing.T) {
	f := newExchange(t)
	family := f.alices(t)
	f.withResource(t, registrytest.Orders, func(r *registry.Resource) {
		r.Scopes = []*registry.Scope{{Name: "orders.read"}, {Name: "orders.write", RequiredGroups: []string{"buyers"}}}
		f.withClient(t, photosAPI, func(c *registry.Client) { c.Access[1] = registry.Access{Resource: r, Scopes: r.Scopes} })
	})
	wantRefused(t, f.exchange(photosAPI, family, "scope", "orders.write"), oauth.InvalidScope)
	if got := wantIssued(t, f.exchange(photosAPI, family, "scope", "")); got.Scope != "orders.read" {
		t.Errorf("scope %q", got.Scope)
	}
	f.withAlice(t, func(u *registry.User) { u.Groups = []string{"buyers"} })
	if got := wantIssued(t, f.exchange(photosAPI, family, "scope", "")); got.Scope != "orders.read orders.write" {
		t.Errorf("scope %q", got.Scope)
	}
}

// A client is in no group, at an API that its own token was not for either.
func TestTokenExchangeWithoutUserHasNoScopesForGroups(t *testing.T) {
	f := newExchange(t)
	own := wantIssued(t, f.redeem(credentialsForm("scope", "photos.read"))).AccessToken
	f.withResource(t, registrytest.Orders, func(r *registry.Resource) {
		r.Scopes = []*registry.Scope{{Name: "orders.read"}, {Name: "orders.write", RequiredGroups: []string{"buyers"}}}
		f.withClient(t, photosAPI, func(c *registry.Client) { c.Access[1] = registry.Access{Resource: r, Scopes: r.Scopes} })
	})
	wantRefused(t, f.exchange(photosAPI, own, "scope", "orders.write"), oauth.InvalidScope)
	if got := wantIssued(t, f.exchange(photosAPI, own, "scope", "")); got.Scope != "orders.read" {
		t.Errorf("scope %q", got.Scope)
	}
}

func TestTokenExchangeByWhoMayNot(t *testing.T) {
	f := newExchange(t)
	subject := f.alices(t)
	wantRefused(t, f.exchange(photosAPI, subject, "client_secret", "wrong"), oauth.InvalidClient)
	// A client that its ResourceServer does not name: whoever stole the token, or the client that it was issued to.
	wantRefused(t, f.exchange(ordersAPI, subject), oauth.InvalidRequest)
	wantRefused(t, f.exchange(registrytest.PrintShop, subject, "client_secret", registrytest.PrintShopSecret), oauth.UnauthorizedClient)
	f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.GrantTypes = append(c.GrantTypes, oauth.GrantTokenExchange) })
	wantRefused(t, f.exchange(registrytest.PrintShop, subject, "client_secret", registrytest.PrintShopSecret), oauth.InvalidRequest)
	// A public client, even where it is declared.
	f.withResource(t, registrytest.Photos, func(r *registry.Resource) { r.Exchangers = []string{registrytest.Native} })
	f.withClient(t, registrytest.Native, func(c *registry.Client) { c.GrantTypes = append(c.GrantTypes, oauth.GrantTokenExchange) })
	wantRefused(t, f.exchange(registrytest.Native, subject, "client_secret", "", "resource", registrytest.Photos, "scope", "photos.read"), oauth.UnauthorizedClient)
	// The API that was named yesterday.
	wantRefused(t, f.exchange(photosAPI, subject), oauth.InvalidRequest)
}

func TestTokenExchangeParameters(t *testing.T) {
	f := newExchange(t)
	subject := f.alices(t)
	const types = "urn:ietf:params:oauth:token-type:"
	for name, pairs := range map[string][]string{
		"no subject token":           {"subject_token", ""},
		"no type of it":              {"subject_token_type", ""},
		"as an ID token":             {"subject_token_type", types + "id_token"},
		"as a refresh token":         {"subject_token_type", types + "refresh_token"},
		"as any JWT":                 {"subject_token_type", types + "jwt"},
		"an actor token":             {"actor_token", subject, "actor_token_type", types + "access_token"},
		"the type of an actor token": {"actor_token_type", types + "access_token"},
		"a refresh token wanted":     {"requested_token_type", types + "refresh_token"},
		"an ID token wanted":         {"requested_token_type", types + "id_token"},
		"any JWT wanted":             {"requested_token_type", types + "jwt"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, f.exchange(photosAPI, subject, pairs...), oauth.InvalidRequest) })
	}
	twice := exchangeForm(photosAPI, subject)
	twice.Add("subject_token", subject)
	wantRefused(t, f.redeem(twice), oauth.InvalidRequest)
	if got := wantIssued(t, f.exchange(photosAPI, subject, "requested_token_type", types+"access_token")); got.RefreshToken != "" || got.IDToken != "" {
		t.Errorf("got %+v", got)
	}
}

// Only a good access token of this issuer, for an API that names the client, is worth anything.
func TestTokenExchangeOfWhatIsNoGoodToken(t *testing.T) {
	f := newExchange(t)
	code := f.code()
	code.Scopes = []string{oauth.ScopeOpenID, oauth.ScopeOfflineAccess}
	tokens := wantIssued(t, f.redeem(form(f.seal(t, code))))
	if tokens.IDToken == "" || tokens.RefreshToken == "" {
		t.Fatalf("got %+v", tokens)
	}
	good, err := f.active(tokens.AccessToken, registrytest.Photos)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := registrytest.Issuer(t, "https://elsewhere.example.com", f.now)
	sign := func(set *keys.Set, change func(*token.Access)) string {
		a := good.Access
		change(&a)
		raw, err := a.Sign(set, keys.ES256, f.now)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for name, raw := range map[string]string{
		"opaque":                        "opaque",
		"an ID token":                   tokens.IDToken,
		"a refresh token":               tokens.RefreshToken,
		"a code":                        f.seal(t, f.code()),
		"another issuer's":              sign(elsewhere.Keys, func(a *token.Access) { a.Issuer = elsewhere.URL }),
		"signed by another issuer":      sign(elsewhere.Keys, func(*token.Access) {}),
		"for another API":               sign(f.iss.Keys, func(a *token.Access) { a.Audience = []string{registrytest.Orders} }),
		"for userinfo alone":            sign(f.iss.Keys, func(a *token.Access) { a.Audience = []string{f.iss.URL} }),
		"expired":                       sign(f.iss.Keys, func(a *token.Access) { a.ExpiresAt = f.now.Truncate(time.Second) }),
		"of a grant that is not there":  sign(f.iss.Keys, func(a *token.Access) { a.GrantID = token.NewID() }),
		"of another client object":      sign(f.iss.Keys, func(a *token.Access) { a.ClientUID, a.IssuedAt = "another", f.now.Add(-time.Minute) }),
		"of a client that has no grant": sign(f.iss.Keys, func(a *token.Access) { a.ClientID, a.ClientUID = registrytest.Native, registrytest.NativeUID }),
		"handed on by another": sign(f.iss.Keys, func(a *token.Access) {
			a.Via = []token.Shown{{Party: token.Party{ID: registrytest.Native, UID: registrytest.NativeUID}}}
		}),
		"cut off": tokens.AccessToken[:len(tokens.AccessToken)-4],
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, f.exchange(photosAPI, raw), oauth.InvalidRequest) })
	}
	wantIssued(t, f.exchange(photosAPI, tokens.AccessToken))
	f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.Access = c.Access[1:] })
	wantRefused(t, f.exchange(photosAPI, tokens.AccessToken), oauth.InvalidRequest)
	if err := f.grants.Revoke(t.Context(), good.GrantID, "test", f.now); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, f.exchange(photosAPI, tokens.AccessToken), oauth.InvalidRequest)
}

// away is a store that can't be read.
type away struct{ store.Grants }

func (away) Get(context.Context, string) (*store.Grant, error) {
	return nil, errors.New("connection refused")
}

// What can't be checked is not called bad.
func TestTokenExchangeUnknown(t *testing.T) {
	f := newExchange(t)
	subject := f.alices(t)
	f.handler.Grants = away{f.grants}
	wantRefused(t, f.exchange(photosAPI, subject), oauth.TemporarilyUnavailable)
	if strings.Contains(f.log.String(), url.QueryEscape(subject)) {
		t.Error("the token is in the log")
	}
}
