package grant

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

func TestRedeem(t *testing.T) {
	f := newFixture(t)
	code := f.code()
	w := f.redeem(form(f.seal(t, code)))
	got := wantIssued(t, w)
	if got.TokenType != "Bearer" || got.ExpiresIn != 600 || got.Scope != "photos.read photos.write" || got.IDToken != "" {
		t.Errorf("got %+v", got)
	}
	if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", h)
	}
	a, err := f.active(got.AccessToken, registrytest.Photos)
	if err != nil {
		t.Fatal(err)
	}
	if a.User.Name != registrytest.Alice || a.Client.ID != registrytest.PrintShop || !reflect.DeepEqual(a.Audience, []string{registrytest.Photos}) {
		t.Errorf("got %+v", a)
	}
	if _, err := f.active(got.AccessToken, f.iss.URL); err == nil {
		t.Error("a token without openid is good for the issuer")
	}
	g := a.Grant
	if g.ID != code.ID || g.ClientUID != registrytest.PrintShopUID || g.UserUID != registrytest.AliceUID || g.SessionID != "sid-1" ||
		!g.AuthTime.Equal(code.AuthTime.Truncate(time.Second)) || !reflect.DeepEqual(g.Scopes, code.Scopes) ||
		!reflect.DeepEqual(g.Targets, code.Targets) || !g.ExpiresAt.Equal(f.now.Truncate(time.Second).Add(7*24*time.Hour)) || g.Attempt == "" {
		t.Errorf("grant %+v", g)
	}
	if log := f.log.String(); !strings.Contains(log, `"event":"token_issued"`) || !strings.Contains(log, `"grant":"`+code.ID+`"`) ||
		!strings.Contains(log, `"user":"alice"`) {
		t.Errorf("audit %s", log)
	}
}

func TestRedeemWithOpenID(t *testing.T) {
	f := newFixture(t)
	c := *f.iss.Config
	c.Lifetimes.IDToken = time.Hour
	f.iss.Config = &c
	code := f.code()
	code.Scopes = []string{oauth.ScopeOpenID, oauth.ScopeProfile}
	code.Targets = []store.Target{at(registrytest.Photos, registrytest.PhotosRead)}
	code.Nonce = "n-1"
	got := wantIssued(t, f.redeem(form(f.seal(t, code))))
	if got.Scope != "openid profile photos.read" {
		t.Errorf("scope %q", got.Scope)
	}
	for _, audience := range []string{registrytest.Photos, f.iss.URL} {
		a, err := f.active(got.AccessToken, audience)
		if err != nil {
			t.Fatalf("%s: %v", audience, err)
		}
		if want := f.now.Truncate(time.Second).Add(time.Hour); !a.Grant.ExpiresAt.Equal(want) {
			t.Errorf("the grant ends at %s, before the ID token at %s", a.Grant.ExpiresAt, want)
		}
	}
	id := claims(t, got.IDToken)
	for name, want := range map[string]any{
		"iss": f.iss.URL, "aud": registrytest.PrintShop, "nonce": "n-1", "sid": "sid-1", "name": "Alice Liddell",
		"preferred_username": "alice", "auth_time": float64(f.now.Add(-time.Minute).Unix()), "exp": float64(f.now.Unix() + 3600),
		"acr": token.ACRPassword, "sub": claims(t, got.AccessToken)["sub"],
	} {
		if !reflect.DeepEqual(id[name], want) {
			t.Errorf("ID token: %s is %v, want %v", name, id[name], want)
		}
	}
	if id["email"] != nil || id["groups"] != nil {
		t.Errorf("ID token tells what was not asked for: %v", id)
	}
}

func TestRedeemIdentityOnly(t *testing.T) {
	f := newFixture(t)
	code := f.code()
	code.Scopes, code.Targets = []string{oauth.ScopeOpenID}, nil
	got := wantIssued(t, f.redeem(form(f.seal(t, code))))
	if aud := claims(t, got.AccessToken)["aud"]; !reflect.DeepEqual(aud, []any{f.iss.URL}) {
		t.Errorf("aud %v, want the issuer alone", aud)
	}
}

func TestRedeemPublicClient(t *testing.T) {
	f := newFixture(t)
	code := f.code()
	code.ClientID, code.ClientUID, code.RedirectURI = registrytest.Native, registrytest.NativeUID, "http://127.0.0.1:4711/callback"
	req := form(f.seal(t, code))
	req.Set("client_id", registrytest.Native)
	req.Del("client_secret")
	req.Set("redirect_uri", "http://127.0.0.1:4712/callback")
	wantRefused(t, f.redeem(req), oauth.InvalidGrant)
	req.Set("redirect_uri", code.RedirectURI)
	wantIssued(t, f.redeem(req))
}

// TestResource: RFC 8707 section 2.2: a token is for one resource of the code.
func TestResource(t *testing.T) {
	f := newFixture(t)
	tests := []struct {
		name      string
		resources []string // of the code
		requested []string
		scope     string
		refused   oauth.Code
	}{
		{"the only one, not named", []string{registrytest.Photos}, nil, "photos.read photos.write", ""},
		{"the only one, named", []string{registrytest.Photos}, []string{registrytest.Photos}, "photos.read photos.write", ""},
		{"one of two", []string{registrytest.Photos, registrytest.Orders}, []string{registrytest.Orders}, "orders.read", ""},
		{"none of two", []string{registrytest.Photos, registrytest.Orders}, nil, "", oauth.InvalidTarget},
		{"both of two", []string{registrytest.Photos, registrytest.Orders}, []string{registrytest.Photos, registrytest.Orders}, "", oauth.InvalidTarget},
		{"not of the code", []string{registrytest.Photos}, []string{registrytest.Orders}, "", oauth.InvalidTarget},
		{"the issuer", []string{registrytest.Photos}, []string{f.iss.URL}, "", oauth.InvalidTarget},
		{"unknown", []string{registrytest.Photos}, []string{"https://nowhere.svc"}, "", oauth.InvalidTarget},
	}
	both := map[string]store.Target{
		registrytest.Photos: at(registrytest.Photos, registrytest.PhotosRead, registrytest.PhotosWrite),
		registrytest.Orders: at(registrytest.Orders, registrytest.OrdersRead),
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code := f.code()
			code.Targets = code.Targets[:0]
			for _, resource := range test.resources {
				code.Targets = append(code.Targets, both[resource])
			}
			req := form(f.seal(t, code))
			req["resource"] = test.requested
			w := f.redeem(req)
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

// TestAlgorithmAndLifetime: what the resource server and the client say goes before the issuer's defaults.
func TestAlgorithmAndLifetime(t *testing.T) {
	f := newFixture(t)
	photos, _ := f.iss.Resources.Get(registrytest.Photos)
	own := *photos
	own.Lifetime, own.Algorithm = 2*time.Minute, "RS256"
	f.withClient(t, registrytest.PrintShop, func(c *registry.Client) {
		c.Access = []registry.Access{{Resource: &own, Scopes: own.Scopes}}
		c.IDTokenAlgorithm = "ES256"
	})
	code := f.code()
	code.Scopes = append(code.Scopes, oauth.ScopeOpenID)
	got := wantIssued(t, f.redeem(form(f.seal(t, code))))
	if got.ExpiresIn != 120 {
		t.Errorf("expires_in %d, want 120", got.ExpiresIn)
	}
	if alg := header(t, got.AccessToken)["alg"]; alg != "RS256" {
		t.Errorf("access token signed with %v, want RS256", alg)
	}
	if alg := header(t, got.IDToken)["alg"]; alg != "ES256" {
		t.Errorf("ID token signed with %v, want ES256", alg)
	}
}

func header(t testing.TB, raw string) map[string]any {
	t.Helper()
	parts := strings.Split(raw, ".")
	return claims(t, "."+parts[0])
}

func TestGrantType(t *testing.T) {
	f := newFixture(t)
	for grantType, want := range map[string]oauth.Code{
		"":                   oauth.InvalidRequest,
		"password":           oauth.UnsupportedGrantType,
		"implicit":           oauth.UnsupportedGrantType,
		"client_credentials": oauth.UnauthorizedClient,
		"Authorization_Code": oauth.UnsupportedGrantType,
	} {
		req := form(f.seal(t, f.code()))
		req.Set("grant_type", grantType)
		t.Run(grantType, func(t *testing.T) { wantRefused(t, f.redeem(req), want) })
	}
	f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.GrantTypes = []string{"refresh_token"} })
	wantRefused(t, f.redeem(form(f.seal(t, f.code()))), oauth.UnauthorizedClient)
}

// Security: duplicate parameter; token request in the query string.
func TestParse(t *testing.T) {
	f := newFixture(t)
	good := form(f.seal(t, f.code()))
	inQuery := httptest.NewRequest(http.MethodPost, "/token?"+good.Encode(), nil)
	inQuery.Header.Set("Content-Type", oauth.FormMediaType)
	partlyInQuery := tokenRequest(good)
	partlyInQuery.URL.RawQuery = url.Values{"client_secret": good["client_secret"]}.Encode()
	asJSON := tokenRequest(good)
	asJSON.Header.Set("Content-Type", "application/json")
	for name, r := range map[string]*http.Request{
		"token request in the query string": inQuery,
		"a parameter in the query string":   partlyInQuery,
		"another media type":                asJSON,
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, f.serve(r), oauth.InvalidRequest) })
	}
	for name := range good {
		twice := url.Values{}
		for n, v := range good {
			twice[n] = v
		}
		twice[name] = append(twice[name], twice[name]...)
		t.Run("duplicate parameter "+name, func(t *testing.T) { wantRefused(t, f.redeem(twice), oauth.InvalidRequest) })
	}
	t.Run("GET", func(t *testing.T) {
		wantRefused(t, f.serve(httptest.NewRequest(http.MethodGet, "/token", nil)), oauth.MethodNotAllowed)
	})
	t.Run("no code", func(t *testing.T) {
		wantRefused(t, f.redeem(form("")), oauth.InvalidRequest)
	})
	wantIssued(t, f.redeem(good)) // none of these spent the code
}

func TestClientAuthenticationComesFirst(t *testing.T) {
	f := newFixture(t)
	req := form("forged")
	req.Set("client_secret", "wrong")
	wantRefused(t, f.redeem(req), oauth.InvalidClient)
}
