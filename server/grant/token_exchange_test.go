package grant

import (
	"errors"
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
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	photosAPI = "demo.photos-api"
	ordersAPI = "shop.orders-api"
	apiSecret = "api-secret-0123456789abcdef"
)

// newExchange is a fixture in which each of the two APIs is a client too, which may exchange the tokens that it is shown and ask for all
// scopes of both.
func newExchange(t testing.TB) *fixture {
	t.Helper()
	f := newFixture(t)
	f.withResource(t, registrytest.Photos, func(r *registry.Resource) { r.Exchangers = []string{photosAPI} })
	f.withResource(t, registrytest.Orders, func(r *registry.Resource) { r.Exchangers = []string{ordersAPI} })
	for _, id := range []string{photosAPI, ordersAPI} {
		namespace, name, _ := strings.Cut(id, ".")
		c := &registry.Client{
			ID: id, UID: "uid-" + name, Namespace: namespace, Name: name, GrantTypes: []string{oauth.GrantTokenExchange},
			Secrets: []registry.Secret{{ID: "one", Digest: f.iss.Keys.ClientDigest("uid-"+name, "one", time.Time{}, apiSecret)}},
		}
		for _, identifier := range []string{registrytest.Photos, registrytest.Orders} {
			r, _ := f.iss.Resources.Get(identifier)
			c.Access = append(c.Access, registry.Access{Resource: r, Scopes: r.Scopes})
		}
		f.iss = registrytest.WithClient(f.iss, c)
	}
	return f
}

// withResource changes a copy of a resource.
func (f *fixture) withResource(t testing.TB, identifier string, change func(*registry.Resource)) {
	t.Helper()
	r, ok := f.iss.Resources.Get(identifier)
	if !ok {
		t.Fatalf("no resource %s", identifier)
	}
	clone := *r
	change(&clone)
	f.iss = registrytest.WithResource(f.iss, &clone)
}

// alices is a token for Photos by which the print shop acts for Alice.
func (f *fixture) alices(t testing.TB) string {
	t.Helper()
	return wantIssued(t, f.redeem(form(f.seal(t, f.code())))).AccessToken
}

// exchangeForm is a good request of an API's; pairs change it, and take away what they give no value.
func exchangeForm(client, subject string, pairs ...string) url.Values {
	v := url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "client_id": {client}, "client_secret": {apiSecret},
		"subject_token": {subject}, "subject_token_type": {oauth.TokenTypeAccessToken}, "resource": {registrytest.Orders}, "scope": {registrytest.OrdersRead},
	}
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

func (f *fixture) exchange(client, subject string, pairs ...string) *httptest.ResponseRecorder {
	return f.redeem(exchangeForm(client, subject, pairs...))
}

func TestTokenExchange(t *testing.T) {
	f := newExchange(t)
	subject := f.alices(t)
	writes := f.counted()
	f.now = f.now.Add(4 * time.Minute)
	got := wantIssued(t, f.exchange(photosAPI, subject))
	writes.want(t, 0, 0, 0)
	want := issued{AccessToken: got.AccessToken, TokenType: "Bearer", ExpiresIn: 360, Scope: "orders.read", IssuedTokenType: oauth.TokenTypeAccessToken}
	if got != want {
		t.Errorf("got %+v", got)
	}
	before, c := claims(t, subject), claims(t, got.AccessToken)
	for name, want := range map[string]any{
		"sub": before["sub"], "client_id": photosAPI, "aud": []any{registrytest.Orders}, "scope": "orders.read", "exp": before["exp"],
		"auth_time": before["auth_time"], "act": map[string]any{"sub": photosAPI},
	} {
		if !reflect.DeepEqual(c[name], want) {
			t.Errorf("%s is %v, want %v", name, c[name], want)
		}
	}
	if c["jti"] == before["jti"] {
		t.Error("two tokens of one jti")
	}
	a, err := f.active(got.AccessToken, registrytest.Orders)
	if err != nil || a.User.Name != registrytest.Alice || a.Client.ID != photosAPI || a.OriginClient.ID != registrytest.PrintShop {
		t.Errorf("%+v, %v", a, err)
	}
	for _, audience := range []string{registrytest.Photos, f.iss.URL} {
		if _, err := f.active(got.AccessToken, audience); !errors.Is(err, token.ErrInactive) {
			t.Errorf("good at %s: %v", audience, err)
		}
	}
	if log := f.log.String(); strings.Contains(log, got.AccessToken) || strings.Contains(log, subject) || !strings.Contains(log, `"subject_client_id":"demo.print-shop"`) {
		t.Errorf("the log says %s", log)
	}
}

// Who acts for whom is in the token, the present actor first, and the chain ends.
func TestTokenExchangeDepth(t *testing.T) {
	f := newExchange(t)
	subject, actors := f.alices(t), []string{}
	for n := range maxActors {
		client, target, scope := photosAPI, registrytest.Orders, registrytest.OrdersRead
		if n%2 == 1 {
			client, target, scope = ordersAPI, registrytest.Photos, registrytest.PhotosRead
		}
		subject = wantIssued(t, f.exchange(client, subject, "resource", target, "scope", scope)).AccessToken
		actors = slices.Insert(actors, 0, client)
		a, err := f.active(subject, target)
		if err != nil || !slices.Equal(a.Actors(), actors) || a.GrantID == "" || a.OriginClient.ID != registrytest.PrintShop {
			t.Fatalf("%d: %+v, %v", n, a, err)
		}
	}
	var act any = map[string]any{"sub": photosAPI}
	for _, id := range []string{ordersAPI, photosAPI, ordersAPI} {
		act = map[string]any{"sub": id, "act": act}
	}
	if got := claims(t, subject)["act"]; !reflect.DeepEqual(got, act) {
		t.Errorf("act is %v, want %v", got, act)
	}
	wantRefused(t, f.exchange(photosAPI, subject), oauth.InvalidRequest)
}

// A token that was got by exchange dies with each of those that handed it on, and with what the first one lived by.
func TestWhatEndsAnExchangedToken(t *testing.T) {
	for name, end := range map[string]func(f *fixture, grantID string) error{
		"the grant is revoked": func(f *fixture, id string) error { return f.grants.Revoke(t.Context(), id, "test", f.now) },
		"the grant is deleted": func(f *fixture, id string) error { return f.grants.Delete(t.Context(), id) },
		"the user is gone":     func(f *fixture, _ string) error { f.iss = registrytest.Without(f.iss, registrytest.Alice); return nil },
		"the first client": func(f *fixture, _ string) error {
			f.iss = registrytest.Without(f.iss, registrytest.PrintShop)
			return nil
		},
		"the actor before": func(f *fixture, _ string) error { f.iss = registrytest.Without(f.iss, photosAPI); return nil },
		"the actor":        func(f *fixture, _ string) error { f.iss = registrytest.Without(f.iss, ordersAPI); return nil },
		"another first client": func(f *fixture, _ string) error {
			f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.UID = "another" })
			return nil
		},
		"another actor before": func(f *fixture, _ string) error {
			f.withClient(t, photosAPI, func(c *registry.Client) { c.UID = "another" })
			return nil
		},
		"time": func(f *fixture, _ string) error { f.now = f.now.Add(10 * time.Minute); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := newExchange(t)
			once := wantIssued(t, f.exchange(photosAPI, f.alices(t))).AccessToken
			twice := wantIssued(t, f.exchange(ordersAPI, once, "resource", registrytest.Photos, "scope", registrytest.PhotosRead)).AccessToken
			a, err := f.active(twice, registrytest.Photos)
			if err != nil {
				t.Fatal(err)
			}
			if err := end(f, a.GrantID); err != nil {
				t.Fatal(err)
			}
			if _, err := f.active(twice, registrytest.Photos); !errors.Is(err, token.ErrInactive) {
				t.Errorf("the token lives on: %v", err)
			}
		})
	}
}

// A client that knows users by pairwise subjects sees its own, and never that of the client before it.
func TestTokenExchangePairwise(t *testing.T) {
	f := newExchange(t)
	f.withClient(t, photosAPI, func(c *registry.Client) { c.Sector = "demo/photos.example" })
	subject := f.alices(t)
	got := wantIssued(t, f.exchange(photosAPI, subject)).AccessToken
	alice := registrytest.User(t, f.iss, registrytest.Alice)
	if sub := claims(t, got)["sub"]; sub == claims(t, subject)["sub"] || sub != f.iss.Keys.PairwiseSubject("demo/photos.example", alice.Subject) {
		t.Errorf("sub %v", sub)
	}
	if a, err := f.active(got, registrytest.Orders); err != nil || a.User.Name != registrytest.Alice {
		t.Errorf("%+v, %v", a, err)
	}
}

// A client's own token is handed on like a user's: it stays the first client's, and carries no scope for groups of users.
func TestTokenExchangeWithoutUser(t *testing.T) {
	f := newExchange(t)
	subject := wantIssued(t, f.redeem(credentialsForm("scope", "photos.read"))).AccessToken
	got := wantIssued(t, f.exchange(photosAPI, subject)).AccessToken
	c := claims(t, got)
	if c["sub"] != registrytest.Nightly || c["client_id"] != photosAPI || !reflect.DeepEqual(c["act"], map[string]any{"sub": photosAPI}) {
		t.Errorf("claims %v", c)
	}
	if a, err := f.active(got, registrytest.Orders); err != nil || a.User != nil || a.OriginClient.ID != registrytest.Nightly || a.Client.ID != photosAPI {
		t.Errorf("%+v, %v", a, err)
	}
	wantRefused(t, f.exchange(ordersAPI, got, "resource", registrytest.Photos, "scope", registrytest.PhotosWrite), oauth.InvalidScope)
	for _, id := range []string{registrytest.Nightly, photosAPI} {
		gone := *f
		gone.iss = registrytest.Without(f.iss, id)
		if _, err := gone.active(got, registrytest.Orders); !errors.Is(err, token.ErrInactive) {
			t.Errorf("the token outlives %s: %v", id, err)
		}
	}
}

// To act as a user at kube-apiserver, the client must be listed for it, and the user must have approved that very thing.
func TestTokenExchangeForKubernetes(t *testing.T) {
	const kubernetes = "https://kubernetes.default.svc"
	f := newExchange(t)
	config := *f.iss.Config
	config.KubernetesAudiences = []string{kubernetes}
	f.iss.Config = &config
	pairs := []string{"resource", kubernetes, "scope", oauth.ScopeKubernetes}
	list := func(c *registry.Client) {
		scopes := []*registry.Scope{{Name: oauth.ScopeKubernetes}}
		c.Access = append(slices.Clone(c.Access), registry.Access{Resource: &registry.Resource{Identifier: kubernetes, Kubernetes: true, Algorithm: keys.ES256, Scopes: scopes}, Scopes: scopes})
	}
	f.withClient(t, registrytest.PrintShop, list)
	code := f.code()
	code.Targets = append(code.Targets, at(kubernetes, oauth.ScopeKubernetes))
	redeem := form(f.seal(t, code))
	redeem.Set("resource", registrytest.Photos)
	approved := wantIssued(t, f.redeem(redeem)).AccessToken
	wantRefused(t, f.exchange(photosAPI, approved, pairs...), oauth.InvalidTarget) // not listed
	f.withClient(t, photosAPI, list)
	got := wantIssued(t, f.exchange(photosAPI, approved, pairs...)).AccessToken
	if a, err := f.active(got, kubernetes); err != nil || a.User.Name != registrytest.Alice || len(a.Counting(f.iss, []string{kubernetes})) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	wantRefused(t, f.exchange(photosAPI, f.alices(t), pairs...), oauth.InvalidScope) // not approved
	own := wantIssued(t, f.redeem(credentialsForm("scope", "photos.read"))).AccessToken
	wantRefused(t, f.exchange(photosAPI, own, pairs...), oauth.InvalidScope) // nobody to approve
	wantRefused(t, f.exchange(photosAPI, got), oauth.InvalidRequest)         // nobody exchanges kube-apiserver's
}
