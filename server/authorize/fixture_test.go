package authorize_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/token"
)

// tokens is a token response.
type tokens struct {
	AccessToken  string `json:"access_token"`
	IDToken      string `json:"id_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`
}

// redeem redeems the code that PrintShop was sent.
func redeem(t *testing.T, s *servertest.Server, code string) tokens {
	t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {registrytest.PrintShopRedirect}, "code_verifier": {servertest.Verifier},
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var got tokens
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != http.StatusOK || got.AccessToken == "" {
		t.Fatalf("%d %+v %v", res.StatusCode, got, err)
	}
	return got
}

func signIn(b *servertest.Browser, p *servertest.Page) *servertest.Page {
	return b.SignIn(p, registrytest.Alice, registrytest.AlicePassword)
}

// approve signs Alice in where that is asked for, allows what is asked for, and redeems the code.
func approve(t *testing.T, b *servertest.Browser, params url.Values) tokens {
	t.Helper()
	p := b.Authorize("", params)
	if onLogin(p) {
		p = signIn(b, p)
	}
	if !onConsent(p) {
		t.Fatalf("no consent page: %d %s", p.Status, p.Location())
	}
	return redeem(t, b.Server, b.Decide(p, "allow").Response(t).Get("code"))
}

func onLogin(p *servertest.Page) bool   { return p.Text("sign-in") != "" }
func onConsent(p *servertest.Page) bool { return p.Text("allow") != "" }

// opened is the code of a redirect to the client.
func opened(t *testing.T, s *servertest.Server, p *servertest.Page) *token.Code {
	t.Helper()
	code, err := token.OpenCode(s.Issuer(""), p.Response(t).Get("code"))
	if err != nil {
		t.Fatalf("%d %s: %v", p.Status, p.Location(), err)
	}
	return code
}

// change publishes PrintShop with a change.
func change(t *testing.T, s *servertest.Server, f func(*registry.Client)) {
	t.Helper()
	c := registrytest.Client(t, s.Issuer(""), registrytest.PrintShop)
	f(c)
	s.Publish(registrytest.WithClient(s.Issuer(""), c))
}

func revokeAll(t *testing.T, s *servertest.Server) {
	t.Helper()
	for _, g := range grants(t, s) {
		if err := s.Grants.Revoke(t.Context(), g.ID, "RevokedByTest", s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
}
