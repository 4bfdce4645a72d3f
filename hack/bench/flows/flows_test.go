package flows

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
)

// latchkey is a whole server over plain http.
func latchkey(t *testing.T) (*Site, *memory.Store) {
	t.Helper()
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	grants, holder := memory.New(time.Now), &registry.Holder{}
	handler, err := server.New(server.Config{
		Holder: holder, Grants: grants, Devices: memory.NewDevices(time.Now), SignOuts: memory.NewSignOuts(time.Now),
		Metrics: metrics, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	iss := registrytest.Issuer(t, s.URL, time.Now())
	shop, _ := iss.Client(registrytest.PrintShop)
	signedAlike := *shop
	signedAlike.IDTokenAlgorithm = keys.ES256
	holder.Store(registry.NewSnapshot([]*registry.Issuer{registrytest.WithClient(iss, &signedAlike)}))
	return siteAt(s), grants
}

func siteAt(s *httptest.Server) *Site {
	address := strings.TrimPrefix(s.URL, "http://")
	return &Site{
		Address: address, Host: address, Authorize: "/authorize", Token: "/token", ClientID: registrytest.PrintShop,
		ClientSecret: registrytest.PrintShopSecret, RedirectURI: registrytest.PrintShopRedirect, Scope: "openid " + registrytest.PhotosRead,
	}
}

// ceiling is one that hands out as much as is said.
func ceiling(t *testing.T, sizes Sizes) *Site {
	t.Helper()
	var spent sync.Map
	s := httptest.NewUnstartedServer(nil)
	site := siteAt(&httptest.Server{URL: "http://" + s.Listener.Addr().String()})
	handler, err := NewCeiling(site, sizes, func(_ context.Context, id string) (bool, error) {
		_, loaded := spent.LoadOrStore(id, true)
		return !loaded, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = handler
	s.Start()
	t.Cleanup(s.Close)
	return site
}

// signIn signs alice in and connects.
func signIn(t *testing.T, s *Site) (*Client, string) {
	t.Helper()
	cookies, err := s.SignIn(t.Context(), registrytest.Alice, registrytest.AlicePassword)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Dial(t.Context(), cookies)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, cookies
}

func look(t *testing.T, c *Client) *Tokens {
	t.Helper()
	tokens, err := c.Look()
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestFlowsOfOneWhoIsSignedIn(t *testing.T) {
	site, grants := latchkey(t)
	c, _ := signIn(t, site)
	for range 3 {
		if err := c.Call(0); err != nil {
			t.Fatal(err)
		}
	}
	found, err := grants.Find(t.Context(), store.Query{AuthorizationServer: "default", UserUID: registrytest.AliceUID})
	if err != nil || len(found) != 4 {
		t.Errorf("%d grants of 4 flows, %v", len(found), err)
	}
}

// What the ceiling does is compared with what Latchkey does: as many characters are handed out, signed with the same algorithm.
func TestCeilingHandsOutAsMuch(t *testing.T) {
	site, _ := latchkey(t)
	c, cookies := signIn(t, site)
	want := SizesOf(look(t, c), cookies)
	least, leastCookies := signIn(t, ceiling(t, want))
	tokens := look(t, least)
	got := SizesOf(tokens, leastCookies)
	for name, pair := range map[string][2]int{
		"cookie": {got.Cookie, want.Cookie}, "code": {got.Code, want.Code}, "access token": {got.AccessToken, want.AccessToken}, "ID token": {got.IDToken, want.IDToken},
	} {
		if d := pair[0] - pair[1]; d < -3 || d > 3 {
			t.Errorf("%s: %d characters, Latchkey's has %d", name, pair[0], pair[1])
		}
	}
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.IDToken, ".")[0])
	if err != nil || !strings.Contains(string(header), `"ES256"`) {
		t.Errorf("%s, %v", header, err)
	}
}

// A ceiling that did less than it claims would be too high.
func TestCeilingDoesWhatItClaims(t *testing.T) {
	sizes := Sizes{Cookie: 300, Code: 700, AccessToken: 700, IDToken: 600}
	c, _ := signIn(t, ceiling(t, sizes))
	code, err := c.authorize()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.redeem(code); err != nil {
		t.Fatal(err)
	}
	if _, err := c.redeem(code); err == nil || !strings.Contains(err.Error(), "spent") {
		t.Errorf("a code was redeemed twice: %v", err)
	}
	refusals := []func(*Site, *Client){
		func(s *Site, _ *Client) { s.ClientSecret = "guessed" },
		func(_ *Site, c *Client) { c.form = strings.Replace(c.form, verifier, challenge, 1) },
		func(_ *Site, c *Client) {
			for i := range c.authorizations {
				c.authorizations[i] = strings.Replace(c.authorizations[i], "Cookie: session=", "Cookie: session=AAAA", 1)
			}
		},
	}
	for i, change := range refusals {
		site := ceiling(t, sizes)
		cookies, err := site.SignIn(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		change(site, &Client{})
		c, err := site.Dial(t.Context(), cookies)
		if err != nil {
			t.Fatal(err)
		}
		change(&Site{}, c)
		if err := c.Call(0); err == nil {
			t.Errorf("%d was not refused", i)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCeilingRefusesSizesThatCannotBe(t *testing.T) {
	if _, err := NewCeiling(&Site{}, Sizes{Cookie: 300, Code: 40, AccessToken: 700, IDToken: 600}, nil); err == nil {
		t.Error("a code of 40 characters was taken")
	}
}

// Nobody is taken for signed in who isn't.
func TestFailuresAreTold(t *testing.T) {
	site, _ := latchkey(t)
	if _, err := site.SignIn(t.Context(), registrytest.Alice, "guessed"); err == nil {
		t.Error("signed in with a wrong password")
	}
	c, err := site.Dial(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Call(0); err == nil || !strings.Contains(err.Error(), "no code: 303") {
		t.Errorf("a flow without a session: %v", err)
	}
}
