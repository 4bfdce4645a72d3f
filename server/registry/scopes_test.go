package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func TestResolve(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	photos, orders := registrytest.Photos, registrytest.Orders
	for _, tc := range []struct {
		name, scope string
		resources   []string
		wantErr     oauth.Code
		want        string // identity | resource=scopes | ...
	}{
		{name: "identity only", scope: "openid profile", want: "openid profile"},
		{name: "one resource implied", scope: "openid photos.read", want: "openid|" + photos + "=photos.read"},
		{name: "order of the request is kept", scope: "photos.write photos.read", want: "|" + photos + "=photos.write photos.read"},
		{name: "named", scope: "photos.read", resources: []string{photos}, want: "|" + photos + "=photos.read"},
		{name: "named twice", scope: "photos.read", resources: []string{photos, photos}, want: "|" + photos + "=photos.read"},
		{name: "two named", scope: "photos.read orders.read", resources: []string{photos, orders}, want: "|" + photos + "=photos.read|" + orders + "=orders.read"},
		{name: "no scope", wantErr: oauth.InvalidScope},
		{name: "no scope but a resource", resources: []string{photos}, want: "|" + photos + "=photos.read photos.write"},
		{name: "no scope but two resources, one twice", resources: []string{orders, photos, orders}, want: "|" + orders + "=orders.read|" + photos + "=photos.read photos.write"},
		{name: "no scope but an unknown resource", resources: []string{photos, "https://elsewhere.example"}, wantErr: oauth.InvalidTarget},
		{name: "scopes of several resources without resource", scope: "photos.read orders.read", wantErr: oauth.InvalidTarget},
		{name: "unknown scope", scope: "photos.read nonsense", wantErr: oauth.InvalidScope},
		{name: "scope not granted by its owner", scope: "orders.write", wantErr: oauth.InvalidScope},
		{name: "scope not granted by its owner, named", scope: "orders.write", resources: []string{orders}, wantErr: oauth.InvalidScope},
		{name: "identity scope not declared", scope: "openid groups", wantErr: oauth.InvalidScope},
		{name: "scope of a resource that is not named", scope: "photos.read orders.read", resources: []string{photos}, wantErr: oauth.InvalidScope},
		{name: "resource without a scope of it", scope: "photos.read", resources: []string{photos, orders}, wantErr: oauth.InvalidScope},
		{name: "resource with identity scopes only", scope: "openid", resources: []string{photos}, want: "openid|" + photos + "="},
		{name: "offline_access", scope: "openid offline_access", want: "openid offline_access"},
		{name: "unknown resource", scope: "photos.read", resources: []string{"https://elsewhere.example"}, wantErr: oauth.InvalidTarget},
		{name: "almost the resource", scope: "photos.read", resources: []string{photos + "/"}, wantErr: oauth.InvalidTarget},
		{name: "a scope is not a prefix", scope: "photos.rea", wantErr: oauth.InvalidScope},
		{name: "case matters", scope: "Photos.Read", wantErr: oauth.InvalidScope},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ask, err := registry.Resolve(registrytest.Client(t, iss, registrytest.PrintShop), oauth.SplitScope(tc.scope), tc.resources)
			if err != nil {
				if err.Code != tc.wantErr {
					t.Fatalf("error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if got := render(ask); tc.wantErr != "" || got != tc.want {
				t.Errorf("resolved to %q, want %q or error %q", got, tc.want, tc.wantErr)
			}
		})
	}
}

// With no scope given, the only resource is meant, if there is only one.
func TestResolveWithoutScope(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	ask, err := registry.Resolve(registrytest.Client(t, iss, registrytest.Native), nil, nil)
	if err != nil || render(ask) != "|"+registrytest.Photos+"=photos.read photos.write" {
		t.Errorf("the only resource: %v, %v", ask, err)
	}
	for name, access := range map[string][]registry.Access{
		"no resource": nil, "a resource without a scope for the client": {{Resource: &registry.Resource{Identifier: "https://r.example"}}},
	} {
		if ask, err := registry.Resolve(&registry.Client{Scopes: []string{"openid"}, Access: access}, nil, nil); err == nil || err.Code != oauth.InvalidScope {
			t.Errorf("%s: %v, %v, want invalid_scope", name, ask, err)
		}
	}
}

// offline_access is ignored for a client that can't refresh, or doesn't declare the scope.
func TestOfflineAccessWithoutTheGrantType(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	code, both := []string{oauth.GrantAuthorizationCode}, []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	for name, is := range map[string]struct{ grantTypes, declared []string }{
		"neither":  {code, []string{oauth.ScopeOpenID}},
		"no grant": {code, []string{oauth.ScopeOpenID, oauth.ScopeOfflineAccess}},
		"no scope": {both, []string{oauth.ScopeOpenID}},
	} {
		c := registrytest.Client(t, iss, registrytest.PrintShop)
		c.GrantTypes, c.Scopes = is.grantTypes, is.declared
		if ask, err := registry.Resolve(c, []string{"openid", "offline_access"}, nil); err != nil || render(ask) != "openid" {
			t.Errorf("%s: %v, %v", name, ask, err)
		}
		if _, err := registry.Resolve(c, []string{"offline_access"}, nil); err == nil || err.Code != oauth.InvalidScope {
			t.Errorf("%s, alone: %v, want invalid_scope", name, err)
		}
	}
}

func TestResolveForClient(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	photos, orders := registrytest.Photos, registrytest.Orders
	for _, tc := range []struct {
		name, scope string
		resources   []string
		wantErr     oauth.Code
		want        string
	}{
		{name: "one scope", scope: "orders.read", want: "|" + orders + "=orders.read"},
		{name: "no scope but a resource", resources: []string{photos}, want: "|" + photos + "=photos.read"},
		{name: "no scope and several resources", wantErr: oauth.InvalidScope},
		{name: "a scope for groups of users", scope: "photos.write", wantErr: oauth.InvalidScope},
		{name: "one scope for groups of users of two", scope: "photos.read photos.write", wantErr: oauth.InvalidScope},
		{name: "an identity scope", scope: "openid photos.read", wantErr: oauth.InvalidScope},
		{name: "identity scopes alone", scope: "openid", resources: []string{photos}, wantErr: oauth.InvalidScope},
		{name: "offline_access", scope: "offline_access orders.read", wantErr: oauth.InvalidScope},
		{name: "two resources", scope: "photos.read orders.read", resources: []string{photos, orders}, wantErr: oauth.InvalidTarget},
		{name: "two resources, no scope", resources: []string{photos, orders}, wantErr: oauth.InvalidTarget},
		{name: "an unknown resource", scope: "photos.read", resources: []string{"https://elsewhere.example"}, wantErr: oauth.InvalidTarget},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := registrytest.Client(t, iss, registrytest.PrintShop)
			ask, err := registry.ResolveForClient(client, oauth.SplitScope(tc.scope), tc.resources)
			switch {
			case err != nil && err.Code != tc.wantErr, err == nil && (tc.wantErr != "" || render(ask) != tc.want):
				t.Errorf("resolved to %+v, error %v; want %q, error %q", ask, err, tc.want, tc.wantErr)
			case len(client.Access[0].Scopes) != 2:
				t.Error("the client has been changed")
			}
		})
	}
}

func render(a *registry.Ask) string {
	s := oauth.JoinScope(a.Identity)
	for _, target := range a.Targets {
		var names []string
		for _, scope := range target.Scopes {
			names = append(names, scope.Name)
		}
		s += "|" + target.Resource.Identifier + "=" + oauth.JoinScope(names)
	}
	return s
}

// Two resources may have a scope of one name: it is asked for where the request says, and where it doesn't, it is refused.
func TestResolveScopeOfTwoResources(t *testing.T) {
	read := func() []*registry.Scope { return []*registry.Scope{{Name: "read"}} }
	a := &registry.Resource{Identifier: "https://a.example", UID: "a", Scopes: read()}
	b := &registry.Resource{Identifier: "https://b.example", UID: "b", Scopes: read()}
	client := &registry.Client{Access: []registry.Access{{Resource: a, Scopes: a.Scopes}, {Resource: b, Scopes: b.Scopes}}}
	if _, err := registry.Resolve(client, []string{"read"}, nil); err == nil || err.Code != oauth.InvalidTarget {
		t.Errorf("without resource: %v, want invalid_target", err)
	}
	one, err := registry.Resolve(client, []string{"read"}, []string{b.Identifier})
	if err != nil || render(one) != "|https://b.example=read" {
		t.Errorf("with one resource: %v %v", one, err)
	}
	both, err := registry.Resolve(client, []string{"read"}, []string{a.Identifier, b.Identifier})
	if err != nil || !slices.Equal(both.Scopes(), []string{"read"}) || len(both.Resources()) != 2 {
		t.Errorf("with both: %v %v", both, err)
	}
}

func TestPermittedTo(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	resolve := func(scope string) *registry.Ask {
		t.Helper()
		ask, err := registry.Resolve(registrytest.Client(t, iss, registrytest.PrintShop), oauth.SplitScope(scope), nil)
		if err != nil {
			t.Fatal(err)
		}
		return ask
	}
	alice, bob := registrytest.User(t, iss, registrytest.Alice), registrytest.User(t, iss, registrytest.Bob)
	both := resolve("openid photos.read photos.write")
	for _, tc := range []struct {
		name    string
		user    *registry.User
		ask     *registry.Ask
		want    string
		wantErr oauth.Code
	}{
		{name: "a member may grant all", user: alice, ask: both, want: "openid photos.read photos.write"},
		{name: "others less", user: bob, ask: both, want: "openid photos.read"},
		{name: "nothing left", user: bob, ask: resolve("openid photos.write"), wantErr: oauth.AccessDenied},
		{name: "identity needs no group", user: bob, ask: resolve("openid"), want: "openid"},
		{name: "nor does a resource without scopes", user: bob, want: "openid",
			ask: &registry.Ask{Identity: []string{"openid"}, Targets: []registry.Target{{Resource: &registry.Resource{}}}}},
	} {
		got, err := tc.ask.PermittedTo(tc.user)
		switch {
		case err != nil && err.Code != tc.wantErr, err == nil && tc.wantErr != "":
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.wantErr)
		case err == nil && oauth.JoinScope(got.Scopes()) != tc.want:
			t.Errorf("%s: %q, want %q", tc.name, got.Scopes(), tc.want)
		}
	}
	both.UserinfoClaims, both.IDTokenClaims = []string{"name"}, []string{"email"}
	if got, err := both.PermittedTo(bob); err != nil || !slices.Equal(got.UserinfoClaims, both.UserinfoClaims) || !slices.Equal(got.IDTokenClaims, both.IDTokenClaims) {
		t.Errorf("the claims are lost: %+v, %v", got, err)
	}
	if got := oauth.JoinScope(both.Scopes()); got != "openid photos.read photos.write" {
		t.Errorf("PermittedTo changed what was asked for: %s", got)
	}
}

func TestAskDigestTellsAsksApart(t *testing.T) {
	resource := func(uid string, scopes ...string) registry.Target {
		target := registry.Target{Resource: &registry.Resource{UID: uid, Identifier: "https://r.example"}}
		for _, s := range scopes {
			target.Scopes = append(target.Scopes, &registry.Scope{Name: s})
		}
		return target
	}
	asks := []registry.Ask{
		{},
		{Identity: []string{"openid"}},
		{Identity: []string{"openid", "email"}},
		{Identity: []string{"openid"}, UserinfoClaims: []string{"email"}},
		{Identity: []string{"openid"}, IDTokenClaims: []string{"email"}},
		{Identity: []string{"openid"}, Targets: []registry.Target{resource("1", "a")}},
		{Identity: []string{"openid"}, Targets: []registry.Target{resource("2", "a")}},
		{Identity: []string{"openid"}, Targets: []registry.Target{resource("1", "a", "b")}},
		{Targets: []registry.Target{resource("1", "openid", "a")}},
		{Targets: []registry.Target{resource("1", "a"), resource("2", "b")}},
		{Targets: []registry.Target{resource("1", "b"), resource("2", "a")}},
	}
	renamed, reworded := resource("1", "a"), resource("1", "a")
	renamed.Resource.DisplayName, reworded.Scopes[0].Description = "Bank", "Do everything"
	asks = append(asks, registry.Ask{Targets: []registry.Target{renamed}}, registry.Ask{Targets: []registry.Target{reworded}})
	clients := []*registry.Client{{UID: "c"}, {UID: "d"}, {UID: "c", DisplayName: "Bank"}}
	seen := map[string]string{}
	for i, ask := range asks {
		for j, c := range clients {
			name := fmt.Sprintf("ask %d of client %d", i, j)
			if other, ok := seen[ask.Digest(c)]; ok {
				t.Errorf("%s and %s have one digest", name, other)
			}
			seen[ask.Digest(c)] = name
		}
	}
	same := registry.Ask{Identity: []string{"email", "openid"}}
	if same.Digest(clients[0]) != asks[2].Digest(clients[0]) {
		t.Error("the order of identity scopes changes the digest")
	}
}

func TestRedirectURITricks(t *testing.T) {
	const web = "https://print.example/callback"
	for _, tc := range []struct {
		registered, requested string
		want                  bool
	}{
		{web, web, true},
		{web, "https://print.example/callback/", false},
		{web, "https://print.example/callback?x=1", false},
		{web, "https://print.example/callback#", false},
		{web, "https://print.example/Callback", false},
		{web, "https://PRINT.example/callback", false},
		{web, "HTTPS://print.example/callback", false},
		{web, "https://print.example:443/callback", false},
		{web, "https://print.example/%63allback", false},
		{web, "https://print.example/x/../callback", false},
		{web, "https://print.example//callback", false},
		{web, "https://user@print.example/callback", false},
		{web, "https://print.example@evil.example/callback", false},
		{web, "https://print.example.evil.example/callback", false},
		{web, "https://evil.example/callback", false},
		{web, "http://print.example/callback", false},
		{web, "https://print.example\\@evil.example/callback", false},
		{web, " " + web, false},
		{web, web + "\r\nX: y", false},
		{web, "javascript:alert(1)", false},
		{web, "data:text/html,x", false},
		{web, "*", false},
		{web, "https://*.example/callback", false},
		{"https://print.example/*", "https://print.example/callback", false},
		{web, "", false},

		{"http://127.0.0.1/cb", "http://127.0.0.1/cb", true},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51234/cb", true},
		{"http://127.0.0.1:8000/cb", "http://127.0.0.1:51234/cb", true},
		{"http://127.0.0.1:8000/cb?a=b", "http://127.0.0.1:51234/cb?a=b", true},
		{"http://[::1]/cb", "http://[::1]:51234/cb", true},
		{"http://127.0.0.1/cb", "http://[::1]:51234/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51234/other", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51234/cb?x", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51234/cb#x", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51234/%63b", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.2:51234/cb", false},
		{"http://127.0.0.1/cb", "http://127.1:51234/cb", false},
		{"http://127.0.0.1/cb", "https://127.0.0.1:51234/cb", false},
		{"http://127.0.0.1/cb", "http://localhost:51234/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51234\\@evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:x/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:65535/cb", true},
		{"http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:000000008080/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51234/cb\r\nX: y", false},
		{"http://localhost:8000/cb", "http://localhost:51234/cb", false},
		{"https://127.0.0.1:8000/cb", "https://127.0.0.1:51234/cb", false},
		{"com.example.app:/cb", "com.example.app:/cb", true},
		{"com.example.app:/cb", "com.example.app:/cb/..", false},
		{"com.example.app:/cb", "com.example.app://cb", false},
	} {
		t.Run(strings.ReplaceAll(tc.registered+" "+tc.requested, "/", "|"), func(t *testing.T) {
			if got := registry.ParseRedirectURI(tc.registered, true).Matches(tc.requested); got != tc.want {
				t.Errorf("%q for %q: %v, want %v", tc.requested, tc.registered, got, tc.want)
			}
		})
	}
}
