package grant

import (
	"errors"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/token"
)

func credentialsForm(extra ...string) url.Values {
	v := url.Values{"grant_type": {"client_credentials"}, "client_id": {registrytest.Nightly}, "client_secret": {registrytest.NightlySecret}}
	for i := 0; i < len(extra); i += 2 {
		v.Add(extra[i], extra[i+1])
	}
	return v
}

func TestClientCredentials(t *testing.T) {
	f := newFixture(t)
	writes := f.counted()
	got := wantIssued(t, f.redeem(credentialsForm("scope", "photos.read")))
	writes.want(t, 0, 0, 0)
	if got.Scope != "photos.read" || got.ExpiresIn != 600 || got.RefreshToken != "" || got.IDToken != "" {
		t.Errorf("got %+v", got)
	}
	c := claims(t, got.AccessToken)
	if c["sub"] != registrytest.Nightly || c["client_id"] != registrytest.Nightly || !reflect.DeepEqual(c["aud"], []any{registrytest.Photos}) || c["auth_time"] != nil {
		t.Errorf("claims %v", c)
	}
	a, err := f.active(got.AccessToken, registrytest.Photos)
	if err != nil || a.User != nil || a.Grant != nil || a.Client.ID != registrytest.Nightly {
		t.Errorf("%+v, %v", a, err)
	}
	f.iss = registrytest.Without(f.iss, registrytest.Nightly)
	if _, err := f.active(got.AccessToken, registrytest.Photos); !errors.Is(err, token.ErrInactive) {
		t.Errorf("the token outlives its client: %v", err)
	}
}

func TestClientCredentialsAsked(t *testing.T) {
	f := newFixture(t)
	for _, test := range []struct {
		name    string
		extra   []string
		scope   string
		refused oauth.Code
	}{
		{name: "a scope", extra: []string{"scope", "orders.read"}, scope: "orders.read"},
		{name: "a resource", extra: []string{"resource", registrytest.Photos}, scope: "photos.read"},
		{name: "both", extra: []string{"resource", registrytest.Orders, "scope", "orders.read"}, scope: "orders.read"},
		{name: "nothing", refused: oauth.InvalidScope},
		{name: "a scope for groups of users", extra: []string{"scope", "photos.write"}, refused: oauth.InvalidScope},
		{name: "a scope not granted by its owner", extra: []string{"scope", "orders.write"}, refused: oauth.InvalidScope},
		{name: "openid", extra: []string{"scope", "openid photos.read"}, refused: oauth.InvalidScope},
		{name: "offline_access", extra: []string{"scope", "offline_access photos.read"}, refused: oauth.InvalidScope},
		{name: "scopes of several", extra: []string{"scope", "photos.read orders.read"}, refused: oauth.InvalidTarget},
		{name: "an unknown resource", extra: []string{"resource", "https://nowhere.svc"}, refused: oauth.InvalidTarget},
		{name: "two resources", extra: []string{"resource", registrytest.Photos, "resource", registrytest.Orders}, refused: oauth.InvalidTarget},
		{name: "the issuer", extra: []string{"resource", f.iss.URL}, refused: oauth.InvalidTarget},
		{name: "not well-formed", extra: []string{"scope", "photos.read\n"}, refused: oauth.InvalidScope},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := f.redeem(credentialsForm(test.extra...))
			if test.refused != "" {
				wantRefused(t, w, test.refused)
				return
			}
			if got := wantIssued(t, w); got.Scope != test.scope {
				t.Errorf("scope %q, want %q", got.Scope, test.scope)
			}
		})
	}
}

// A client without the grant type, or without a credential, has no right of its own.
func TestClientCredentialsRefused(t *testing.T) {
	f := newFixture(t)
	shop := credentialsForm("scope", "photos.read")
	shop.Set("client_id", registrytest.PrintShop)
	shop.Set("client_secret", registrytest.PrintShopSecret)
	wantRefused(t, f.redeem(shop), oauth.UnauthorizedClient)
	f.withClient(t, registrytest.Native, func(c *registry.Client) { c.GrantTypes = []string{oauth.GrantClientCredentials} })
	public := url.Values{"grant_type": {"client_credentials"}, "client_id": {registrytest.Native}, "scope": {"photos.read"}}
	wantRefused(t, f.redeem(public), oauth.UnauthorizedClient)
	wrong := credentialsForm("scope", "photos.read")
	wrong.Set("client_secret", "wrong")
	wantRefused(t, f.redeem(wrong), oauth.InvalidClient)
	f.onlyKey(t, "RS256")
	f.withClient(t, registrytest.Nightly, func(c *registry.Client) {
		c.Secrets = []registry.Secret{{ID: "one", Digest: f.iss.Keys.ClientDigest(c.UID, "one", time.Time{}, registrytest.NightlySecret)}}
	})
	wantRefused(t, f.redeem(credentialsForm("scope", "photos.read")), oauth.TemporarilyUnavailable)
}
