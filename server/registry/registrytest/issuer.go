// Package registrytest builds, for tests, an issuer as the controllers would publish it: with keys, a user or two, resource servers
// and clients. Tests change their copy with the With functions.
package registrytest

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// Names in the issuer that New builds.
const (
	// PrintShop is a confidential client that may ask for both scopes of Photos and one of Orders, and refresh.
	PrintShop         = "demo.print-shop"
	PrintShopUID      = "uid-print-shop"
	PrintShopSecret   = "print-shop-secret-0123456789abcdef"
	PrintShopRedirect = "https://print.example/callback"

	// Native is a public client with a loopback and a private-use redirect, for Photos only.
	Native         = "demo.native"
	NativeUID      = "uid-native"
	NativeLoopback = "http://127.0.0.1/callback"
	NativePrivate  = "com.example.app:/callback"

	// Nightly is a confidential client without users, for Photos and Orders in its own right.
	Nightly       = "demo.nightly"
	NightlyUID    = "uid-nightly"
	NightlySecret = "nightly-secret-0123456789abcdef"

	// Photos and Orders are identifiers of resource servers.
	Photos = "https://photos.demo.svc"
	Orders = "https://orders.shop.svc"
	// PhotosRead is a scope of Photos that every user may grant.
	PhotosRead = "photos.read"
	// PhotosWrite is a scope of Photos that wants the group Family.
	PhotosWrite = "photos.write"
	// OrdersRead is the scope of Orders that PrintShop may ask for.
	OrdersRead = "orders.read"
	Family     = "family"

	// Alice is in the group Family, Bob is not.
	Alice         = "alice"
	AliceUID      = "uid-alice"
	AlicePassword = "wonderland"
	Bob           = "bob"
	BobUID        = "uid-bob"
	BobPassword   = "builder-of-things"
)

// Issuer builds an issuer with the URL, and keys of its own for every algorithm that are active from an hour before now.
func Issuer(tb testing.TB, issuer string, now time.Time) *registry.Issuer {
	tb.Helper()
	url, err := registry.ParseIssuerURL(issuer)
	if err != nil {
		tb.Fatal(err)
	}
	iss := &registry.Issuer{
		Config: &registry.Config{
			IssuerURL: url, Name: "default" + strings.ReplaceAll(url.Path, "/", "-"), UID: "uid-default" + url.Path,
			DisplayName:          "Example Login",
			Algorithms:           keys.Algorithms(),
			AccessTokenAlgorithm: keys.ES256, IDTokenAlgorithm: keys.RS256,
			UsernamePrefix: "oauth:", GroupsPrefix: "oauth:",
			Lifetimes: registry.Lifetimes{
				AuthorizationCode: time.Minute, AccessToken: 10 * time.Minute, IDToken: 10 * time.Minute, Session: 12 * time.Hour,
				RefreshToken: 30 * 24 * time.Hour, RefreshTokenIdle: 7 * 24 * time.Hour, DeviceCode: 10 * time.Minute,
			},
		},
		Keys: Keys(tb, now),
	}
	photos, orders := resources()
	iss = WithResource(WithResource(iss, photos), orders)
	iss = WithClient(WithClient(iss, printShop(iss.Keys, photos, orders)), native(photos))
	iss = WithClient(iss, nightly(iss.Keys, photos, orders))
	alice := user(tb, iss.Keys, Alice, AliceUID, AlicePassword, Family)
	alice.DisplayName, alice.Email = "Alice Liddell", "alice@example.com"
	return WithUser(WithUser(iss, alice), user(tb, iss.Keys, Bob, BobUID, BobPassword))
}

func resources() (photos, orders *registry.Resource) {
	photos = &registry.Resource{
		Identifier: Photos, Namespace: "demo", Name: "photos", UID: "uid-photos", DisplayName: "Photos",
		Lifetime: 10 * time.Minute, Algorithm: keys.ES256,
		Scopes: []*registry.Scope{
			{Name: PhotosRead, Description: "See your photos"},
			{Name: PhotosWrite, Description: "Add and delete photos", RequiredGroups: []string{Family}},
		},
	}
	orders = &registry.Resource{
		Identifier: Orders, Namespace: "shop", Name: "orders", UID: "uid-orders", DisplayName: "Orders",
		Lifetime: 10 * time.Minute, Algorithm: keys.ES256,
		Scopes: []*registry.Scope{
			{Name: OrdersRead, Description: "See your orders"},
			{Name: "orders.write", Description: "Place and cancel orders"},
		},
	}
	return photos, orders
}

func printShop(set *keys.Set, photos, orders *registry.Resource) *registry.Client {
	return &registry.Client{
		ID: PrintShop, UID: PrintShopUID, Namespace: "demo", Name: "print-shop", DisplayName: "Print Shop",
		RedirectURIs: []registry.RedirectURI{registry.ParseRedirectURI(PrintShopRedirect, false)},
		GrantTypes:   []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken},
		Scopes:       []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess},
		Access: []registry.Access{
			{Resource: photos, Scopes: photos.Scopes},
			{Resource: orders, Scopes: orders.Scopes[:1]},
		},
		Secrets:          []registry.Secret{{ID: "one", Digest: set.ClientDigest(PrintShopUID, "one", time.Time{}, PrintShopSecret)}},
		IDTokenAlgorithm: keys.RS256, RotateRefreshTokens: true,
	}
}

func nightly(set *keys.Set, photos, orders *registry.Resource) *registry.Client {
	return &registry.Client{
		ID: Nightly, UID: NightlyUID, Namespace: "demo", Name: "nightly", DisplayName: "Nightly Job",
		GrantTypes:       []string{oauth.GrantClientCredentials},
		Access:           []registry.Access{{Resource: photos, Scopes: photos.Scopes}, {Resource: orders, Scopes: orders.Scopes[:1]}},
		Secrets:          []registry.Secret{{ID: "one", Digest: set.ClientDigest(NightlyUID, "one", time.Time{}, NightlySecret)}},
		IDTokenAlgorithm: keys.RS256,
	}
}

func native(photos *registry.Resource) *registry.Client {
	return &registry.Client{
		ID: Native, UID: NativeUID, Namespace: "demo", Name: "native", DisplayName: "Native App", Public: true,
		RedirectURIs:        []registry.RedirectURI{registry.ParseRedirectURI(NativeLoopback, true), registry.ParseRedirectURI(NativePrivate, true)},
		GrantTypes:          []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken},
		Scopes:              []string{oauth.ScopeOpenID, oauth.ScopeOfflineAccess},
		RotateRefreshTokens: true,
		Access:              []registry.Access{{Resource: photos, Scopes: photos.Scopes}},
		IDTokenAlgorithm:    keys.RS256,
	}
}

func user(tb testing.TB, set *keys.Set, name, uid, password string, groups ...string) *registry.User {
	tb.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		tb.Fatal(err)
	}
	return &registry.User{
		Name: name, UID: uid, Subject: set.Subject("local", name), DisplayName: name, Groups: groups,
		PasswordHash: string(hash), CredentialVersion: "1",
	}
}

// WithClient returns a copy of the issuer in which the client is added or replaced.
func WithClient(iss *registry.Issuer, c *registry.Client) *registry.Issuer {
	next := *iss
	if old, ok := iss.Clients.Get(c.ID); ok && old.UID != c.UID {
		next.Gone = iss.Gone.With(map[string]struct{}{old.UID: {}})
	}
	next.Clients = iss.Clients.With(map[string]*registry.Client{c.ID: c})
	return &next
}

// WithUser returns a copy of the issuer in which the user is added or replaced.
func WithUser(iss *registry.Issuer, u *registry.User) *registry.Issuer {
	next := *iss
	if old, ok := iss.Users.Get(u.Name); ok && old.UID != u.UID {
		next.Gone = iss.Gone.With(map[string]struct{}{old.UID: {}})
	}
	next.Users = iss.Users.With(map[string]*registry.User{u.Name: u})
	return &next
}

// WithResource returns a copy of the issuer in which the resource is added or replaced; clients keep the access they have.
func WithResource(iss *registry.Issuer, r *registry.Resource) *registry.Issuer {
	next := *iss
	next.Resources = iss.Resources.With(map[string]*registry.Resource{r.Identifier: r})
	return &next
}

// Without returns a copy of the issuer from which the clients and users of those names are gone.
func Without(iss *registry.Issuer, names ...string) *registry.Issuer {
	gone := map[string]struct{}{}
	for _, name := range names {
		if c, ok := iss.Clients.Get(name); ok {
			gone[c.UID] = struct{}{}
		}
		if u, ok := iss.Users.Get(name); ok {
			gone[u.UID] = struct{}{}
		}
	}
	next := *iss
	next.Clients = iss.Clients.With(nil, names...)
	next.Users = iss.Users.With(nil, names...)
	next.Gone = iss.Gone.With(gone)
	return &next
}

// Client returns a copy of the client, for a test to change and put back with WithClient.
func Client(tb testing.TB, iss *registry.Issuer, id string) *registry.Client {
	tb.Helper()
	c, ok := iss.Client(id)
	if !ok {
		tb.Fatalf("no client %q", id)
	}
	clone := *c
	return &clone
}

// User returns a copy of the user, for a test to change and put back with WithUser.
func User(tb testing.TB, iss *registry.Issuer, name string) *registry.User {
	tb.Helper()
	u, ok := iss.Users.Get(name)
	if !ok {
		tb.Fatalf("no user %q", name)
	}
	clone := *u
	return &clone
}
