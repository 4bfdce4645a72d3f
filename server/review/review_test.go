package review_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

func TestAGoodTokenIsAnsweredWhole(t *testing.T) {
	f := newFixture(t)
	access := f.access(registrytest.Photos, f.iss.URL)
	got, _ := f.ask(t, f.sign(t, access), registrytest.Photos)
	want := authenticationv1.TokenReviewStatus{
		Authenticated: true,
		Audiences:     []string{registrytest.Photos},
		User: authenticationv1.UserInfo{
			Username: "oauth:alice", UID: registrytest.AliceUID, Groups: []string{"oauth:" + registrytest.Family},
			Extra: map[string]authenticationv1.ExtraValue{
				oauth.ExtraCredentialID: {"JTI=" + access.ID},
				oauth.ExtraIssuer:       {issuerURL},
				oauth.ExtraClientID:     {registrytest.PrintShop},
				oauth.ExtraScope:        {"openid", registrytest.PhotosRead},
				oauth.ExtraGrantID:      {f.grant.ID},
			},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAClientsOwnTokenIsNamedAfterTheClient(t *testing.T) {
	f := newFixture(t)
	access := f.access(registrytest.Photos)
	access.Subject, access.GrantID, access.UserUID, access.AuthTime = registrytest.PrintShop, "", "", time.Time{}
	got, _ := f.ask(t, f.sign(t, access), registrytest.Photos)
	if got.User.Username != "oauth:client:demo:print-shop" || got.User.UID != registrytest.PrintShopUID || len(got.User.Groups) > 0 {
		t.Errorf("got %+v", got.User)
	}
	if _, ok := got.User.Extra[oauth.ExtraGrantID]; ok {
		t.Error("it has a grant")
	}
}

// security.md: TokenReview naming `system:` users or groups; audience omitted in the reply.
func TestAudienceOmittedInTheReply(t *testing.T) {
	f := newFixture(t)
	for name, test := range map[string]struct{ token, asked, want []string }{
		"kube-apiserver's own, not named":     {[]string{kubernetes}, nil, []string{kubernetes}},
		"kube-apiserver's own, named":         {[]string{kubernetes}, []string{kubernetes}, []string{kubernetes}},
		"a resource's at kube-apiserver":      {[]string{registrytest.Photos}, nil, nil},
		"a resource's, kube-apiserver's name": {[]string{registrytest.Photos}, []string{kubernetes}, nil},
		"kube-apiserver's at a resource":      {[]string{kubernetes}, []string{registrytest.Photos}, nil},
		"one of two":                          {[]string{registrytest.Photos, f.iss.URL}, []string{registrytest.Photos, registrytest.Orders}, []string{registrytest.Photos}},
		"both of two, in the order asked":     {[]string{registrytest.Photos, registrytest.Orders}, []string{registrytest.Orders, registrytest.Photos}, []string{registrytest.Orders, registrytest.Photos}},
		"asked twice":                         {[]string{registrytest.Photos}, []string{registrytest.Photos, registrytest.Photos}, []string{registrytest.Photos}},
		"with one nobody knows":               {[]string{registrytest.Photos, "https://gone.demo.svc"}, []string{"https://gone.demo.svc", registrytest.Photos}, []string{registrytest.Photos}},
		"only one nobody knows":               {[]string{"https://gone.demo.svc"}, []string{"https://gone.demo.svc"}, nil},
		"for userinfo":                        {[]string{f.iss.URL}, []string{f.iss.URL}, nil},
		"for userinfo, at kube-apiserver":     {[]string{f.iss.URL}, nil, nil},
		"the issuer beside a resource":        {[]string{registrytest.Photos, f.iss.URL}, []string{f.iss.URL}, nil},
		"an empty name":                       {[]string{""}, []string{""}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, code := f.ask(t, f.sign(t, f.access(test.token...)), test.asked...)
			if test.want == nil {
				wantNo(t, got, code)
				return
			}
			if !got.Authenticated || !slices.Equal(got.Audiences, test.want) {
				t.Errorf("got %v for %v, want %v", got.Authenticated, got.Audiences, test.want)
			}
		})
	}
}

func TestNoAudiencesOfKubernetesMeansNoTokensForIt(t *testing.T) {
	f := newFixture(t)
	config := *f.iss.Config
	config.KubernetesAudiences = nil
	next := *f.iss
	next.Config = &config
	f.publish(&next)
	for _, asked := range [][]string{nil, {kubernetes}} {
		got, code := f.ask(t, f.sign(t, f.access(kubernetes)), asked...)
		wantNo(t, got, code)
	}
}

// security.md: TokenReview naming `system:` users or groups.
func TestTokenReviewNamingSystemUsersOrGroups(t *testing.T) {
	for name, test := range map[string]struct{ userPrefix, user, groupPrefix, group string }{
		"a username after system:":      {"system:", "admin", "oauth:", "family"},
		"a username made of both parts": {"sys", "tem:admin", "oauth:", "family"},
		"a prefix that lacks the colon": {"system", ":admin", "oauth:", "family"},
		"another case":                  {"System:", "admin", "oauth:", "family"},
		"no username prefix":            {"", "alice", "oauth:", "family"},
		"a username with a colon":       {"oauth:", "client:demo:print-shop", "oauth:", "family"},
		"no username":                   {"oauth:", "", "oauth:", "family"},
		"a group after system:":         {"oauth:", "alice", "system:", "masters"},
		"a group made of both parts":    {"oauth:", "alice", "sys", "tem:masters"},
		"no groups prefix":              {"oauth:", "alice", "", "system:masters"},
		"no groups prefix, harmless":    {"oauth:", "alice", "", "family"},
		"an empty group":                {"oauth:", "alice", "oauth:", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user := registrytest.User(t, f.iss, registrytest.Alice)
			user.Name, user.Groups = test.user, []string{test.group}
			next := *registrytest.WithUser(f.iss, user)
			config := *next.Config
			config.UsernamePrefix, config.GroupsPrefix = test.userPrefix, test.groupPrefix
			next.Config = &config
			f.publish(&next)
			grant := *f.grant
			grant.ID, grant.User = token.NewID(), test.user
			if err := f.grants.Create(t.Context(), &grant, store.NoLimit); err != nil {
				t.Fatal(err)
			}
			access := f.access(kubernetes)
			access.GrantID = grant.ID
			got, code := f.ask(t, f.sign(t, access), kubernetes)
			wantNo(t, got, code)
			if !strings.Contains(f.log.String(), "a good token is refused") {
				t.Errorf("it was refused for another reason: %s", f.log)
			}
		})
	}
}

func TestWhatEndsAToken(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *fixture){
		"it expires": func(_ *testing.T, f *fixture) { f.now = f.now.Add(10 * time.Minute) },
		"its grant is revoked": func(t *testing.T, f *fixture) {
			if err := f.grants.Revoke(t.Context(), f.grant.ID, store.ReasonCodeReplayed, f.now); err != nil {
				t.Fatal(err)
			}
		},
		"its grant is deleted": func(t *testing.T, f *fixture) {
			if err := f.grants.Delete(t.Context(), f.grant.ID); err != nil {
				t.Fatal(err)
			}
		},
		"its client is deleted": func(_ *testing.T, f *fixture) { f.publish(registrytest.Without(f.iss, registrytest.PrintShop)) },
		"its user is deleted":   func(_ *testing.T, f *fixture) { f.publish(registrytest.Without(f.iss, registrytest.Alice)) },
		"its client is created again": func(t *testing.T, f *fixture) {
			client := registrytest.Client(t, f.iss, registrytest.PrintShop)
			client.UID = "another"
			f.publish(registrytest.WithClient(f.iss, client))
		},
		"its user is created again": func(t *testing.T, f *fixture) {
			user := registrytest.User(t, f.iss, registrytest.Alice)
			user.UID = "another"
			f.publish(registrytest.WithUser(f.iss, user))
		},
		"its resource is deleted": func(_ *testing.T, f *fixture) {
			next := *f.iss
			next.Resources = f.iss.Resources.With(nil, registrytest.Photos)
			f.publish(&next)
		},
		"its resource's owner withdraws access": func(t *testing.T, f *fixture) {
			client := registrytest.Client(t, f.iss, registrytest.PrintShop)
			client.Access = client.Access[1:]
			f.publish(registrytest.WithClient(f.iss, client))
		},
		"its issuer is deleted": func(_ *testing.T, f *fixture) { f.publish() },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			raw := f.sign(t, f.access(registrytest.Photos))
			if got, _ := f.ask(t, raw, registrytest.Photos); !got.Authenticated {
				t.Fatal("it was not good before")
			}
			end(t, f)
			got, code := f.ask(t, raw, registrytest.Photos)
			wantNo(t, got, code)
		})
	}
}

// What was granted is not all that counts: an owner may withdraw a scope from a client, and a user leave the group that it
// requires, while tokens with it are about.
func TestScopesThatAreWithdrawn(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*testing.T, *fixture)
		want   authenticationv1.ExtraValue
	}{
		"nothing is": {func(*testing.T, *fixture) {}, authenticationv1.ExtraValue{"openid", registrytest.PhotosRead, registrytest.PhotosWrite}},
		"by the owner": {func(t *testing.T, f *fixture) {
			client := registrytest.Client(t, f.iss, registrytest.PrintShop)
			client.Access = slices.Clone(client.Access)
			client.Access[0].Scopes = client.Access[0].Scopes[1:]
			f.publish(registrytest.WithClient(f.iss, client))
		}, authenticationv1.ExtraValue{"openid", registrytest.PhotosWrite}},
		"with the group": {func(t *testing.T, f *fixture) {
			user := registrytest.User(t, f.iss, registrytest.Alice)
			user.Groups = nil
			f.publish(registrytest.WithUser(f.iss, user))
		}, authenticationv1.ExtraValue{"openid", registrytest.PhotosRead}},
		"by the client": {func(t *testing.T, f *fixture) {
			client := registrytest.Client(t, f.iss, registrytest.PrintShop)
			client.Scopes = nil
			f.publish(registrytest.WithClient(f.iss, client))
		}, authenticationv1.ExtraValue{registrytest.PhotosRead, registrytest.PhotosWrite}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			access := f.access(registrytest.Photos)
			access.Scopes = append(access.Scopes, registrytest.PhotosWrite)
			test.change(t, f)
			got, _ := f.ask(t, f.sign(t, access), registrytest.Photos)
			if scopes := got.User.Extra[oauth.ExtraScope]; !got.Authenticated || !slices.Equal(scopes, test.want) {
				t.Errorf("got %v with %v, want %v", got.Authenticated, scopes, test.want)
			}
		})
	}
}

func TestAClientThatIsNoLongerListedForKubernetes(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access(kubernetes))
	client := registrytest.Client(t, f.iss, registrytest.PrintShop)
	client.Access = client.Access[:len(client.Access)-1]
	f.publish(registrytest.WithClient(f.iss, client))
	got, code := f.ask(t, raw)
	wantNo(t, got, code)
}

// security.md: token confusion.
func TestTokenConfusion(t *testing.T) {
	f := newFixture(t)
	other := registrytest.Issuer(t, "https://other.example.com", f.now)
	f.publish(f.iss, other)
	good := f.sign(t, f.access(registrytest.Photos))
	parts := strings.Split(good, ".")
	identity := &token.Identity{Issuer: f.iss.URL, Subject: f.access().Subject, ClientID: registrytest.Photos, IssuedAt: f.now, ExpiresAt: f.now.Add(time.Minute), AuthTime: f.now}
	idToken, err := identity.Sign(f.iss.Keys, keys.RS256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	foreignKey, err := f.access(registrytest.Photos).Sign(other.Keys, keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	theirs := f.access(registrytest.Photos)
	theirs.Issuer = other.URL
	for name, raw := range map[string]string{
		"an ID token":                           idToken,
		"another issuer's signature":            foreignKey,
		"our signature under another issuer":    f.sign(t, theirs),
		"no signature":                          parts[0] + "." + parts[1] + ".",
		"another token's signature":             parts[0] + "." + parts[1] + "." + strings.Split(f.sign(t, f.access(registrytest.Photos)), ".")[2],
		"no JWT":                                "opaque",
		"five parts":                            good + ".a.b",
		"an issuer nobody knows":                f.foreign(t),
		"a line break":                          good + "\n",
		"longer than any token":                 strings.Repeat("a", 60<<10),
		"a token with a NUL":                    "\x00." + parts[1] + "." + parts[2],
		"a ServiceAccount's, as kube-apiserver": parts[0] + ".eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMuZGVmYXVsdC5zdmMifQ." + parts[2],
	} {
		for _, asked := range [][]string{{registrytest.Photos}, {kubernetes}, nil} {
			t.Run(name, func(t *testing.T) {
				got, code := f.ask(t, raw, asked...)
				wantNo(t, got, code)
			})
		}
	}
}

// foreign is a good token of an issuer that is not served here.
func (f *fixture) foreign(t testing.TB) string {
	a := f.access(registrytest.Photos)
	a.Issuer = "https://elsewhere.example.com"
	return f.sign(t, a)
}

// What is not known must be tried again and never be cached, and status.error is not enough for that.
func TestNotKnownIsAnInternalError(t *testing.T) {
	for name, test := range map[string]func(*fixture){
		"the store can't be read": func(f *fixture) { f.handler.Verifier.Grants = unreadable{f.grants} },
		"there is no snapshot":    func(f *fixture) { f.handler.Holder = &registry.Holder{} },
		"there are no keys": func(f *fixture) {
			next := *f.iss
			next.Keys = nil
			f.publish(&next)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			raw := f.sign(t, f.access(registrytest.Photos))
			test(f)
			if got, code := f.ask(t, raw, registrytest.Photos); code != http.StatusInternalServerError || got.Authenticated {
				t.Errorf("got HTTP %d and %+v", code, got)
			}
		})
	}
}

func TestForeignTokensReadNoStore(t *testing.T) {
	f := newFixture(t)
	f.handler.Verifier.Grants = unreadable{f.grants}
	got, code := f.ask(t, f.foreign(t), registrytest.Photos)
	wantNo(t, got, code)
}
