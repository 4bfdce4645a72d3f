package logout_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// afterwards is where the print shop wants users who signed out.
const afterwards = "https://print.example/bye"

// site is a server whose print shop takes part in logouts.
type site struct {
	*servertest.Server
	t *testing.T
}

func newSite(t *testing.T, paths ...string) *site {
	t.Helper()
	s := &site{servertest.Start(t, paths...), t}
	s.declare(func(c *registry.Client) {
		c.PostLogoutRedirectURIs = []registry.RedirectURI{{URI: afterwards}}
	})
	return s
}

// declare changes the print shop.
func (s *site) declare(change func(*registry.Client)) {
	iss := s.Issuer("")
	c := registrytest.Client(s.t, iss, registrytest.PrintShop)
	change(c)
	s.Publish(registrytest.WithClient(iss, c))
}

// signIn signs Alice in at the print shop, and returns her browser and ID token.
func (s *site) signIn() (*servertest.Browser, string) {
	s.t.Helper()
	b := s.NewBrowser()
	return b, s.tokens(b, "")["id_token"].(string)
}

// tokens walks the browser through the code flow at the issuer with the path, for those scopes beside openid.
func (s *site) tokens(b *servertest.Browser, path string, scopes ...string) map[string]any {
	s.t.Helper()
	params := servertest.Params()
	params.Set("scope", strings.Join(append([]string{"openid", registrytest.PhotosRead}, scopes...), " "))
	params.Set("prompt", "consent")
	p := b.Authorize(path, params)
	if p.Attr("username", "name") != "" {
		p = b.SignIn(p, registrytest.Alice, registrytest.AlicePassword)
	}
	return s.redeem(path, b.Decide(p, "allow").Response(s.t).Get("code"))
}

func (s *site) redeem(path, code string) map[string]any {
	s.t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {registrytest.PrintShopRedirect}, "code_verifier": {servertest.Verifier},
		"client_id": {registrytest.PrintShop}, "client_secret": {registrytest.PrintShopSecret},
	}
	status, body := s.post(s.URL+path+"/token", form)
	if status != http.StatusOK {
		s.t.Fatalf("%d %v", status, body)
	}
	return body
}

func (s *site) post(target string, form url.Values) (int, map[string]any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", oauth.FormMediaType)
	res, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body map[string]any
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, body
}

// signedIn says whether the browser has a session.
func (s *site) signedIn(b *servertest.Browser) bool {
	s.t.Helper()
	params := servertest.Params()
	params.Set("prompt", "none")
	return b.Authorize("", params).Response(s.t).Get("error") != "login_required"
}

// works says whether an access token does.
func (s *site) works(tokens map[string]any) bool {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL+"/userinfo", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokens["access_token"].(string))
	res, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// audits are the audit events of the name, in their order.
func (s *site) audits(event string) []map[string]any {
	s.t.Helper()
	var found []map[string]any
	for line := range strings.Lines(s.Log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			s.t.Fatal(err)
		}
		if entry["event"] == event {
			found = append(found, entry)
		}
	}
	return found
}

// eventually waits for a condition.
func (s *site) eventually(what string, met func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.t.Fatalf("in vain: %s", what)
		}
	}
}
