package device_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// site is a whole server whose clients may all be devices.
type site struct {
	*servertest.Server
	t *testing.T
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{servertest.Start(t), t}
	for _, id := range []string{registrytest.PrintShop, registrytest.Native} {
		s.change(id, func(c *registry.Client) { c.GrantTypes = append(c.GrantTypes, oauth.GrantDeviceCode) })
	}
	return s
}

// change publishes a client with a change.
func (s *site) change(id string, change func(*registry.Client)) {
	s.t.Helper()
	c := registrytest.Client(s.t, s.Issuer(""), id)
	c.GrantTypes = append([]string{}, c.GrantTypes...)
	change(c)
	s.Publish(registrytest.WithClient(s.Issuer(""), c))
}

// answer is an answer in JSON.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

// post sends a form to a replica and reads the JSON that it answers.
func (s *site) post(target string, form url.Values) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.send(r)
}

func (s *site) send(r *http.Request) answer {
	s.t.Helper()
	res, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it is read to its end
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: map[string]any{}}
	if err := json.Unmarshal(body, &a.body); err != nil {
		s.t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	return a
}

// credentials are those of a client, with more parameters.
func credentials(client string, more ...string) url.Values {
	v := url.Values{"client_id": {client}}
	if client == registrytest.PrintShop {
		v.Set("client_secret", registrytest.PrintShopSecret)
	}
	for i := 0; i < len(more); i += 2 {
		v.Add(more[i], more[i+1])
	}
	return v
}

// begin is what a device does first. The print shop asks for both scopes of Photos and for who the user is.
func (s *site) begin(client string, more ...string) answer {
	s.t.Helper()
	form := credentials(client, more...)
	if !form.Has("scope") {
		form.Set("scope", "openid photos.read photos.write")
	}
	return s.post(s.URL+"/device_authorization", form)
}

// begun is begin that must succeed.
func (s *site) begun(client string, more ...string) answer {
	s.t.Helper()
	a := s.begin(client, more...)
	if a.status != http.StatusOK {
		s.t.Fatalf("%d %v", a.status, a.body)
	}
	return a
}

// poll is what a device does until it has its tokens.
func (s *site) poll(origin, client, deviceCode string, more ...string) answer {
	s.t.Helper()
	return s.post(origin+"/token", credentials(client, append(more, "grant_type", oauth.GrantDeviceCode, "device_code", deviceCode)...))
}

func wantError(t *testing.T, a answer, code oauth.Code) {
	t.Helper()
	if a.text("error") != string(code) || a.status != code.Status() {
		t.Errorf("got %d %v, want %d %s", a.status, a.body, code.Status(), code)
	}
}

// enter opens the page, enters a code, and follows where that leads.
func enter(b *servertest.Browser, userCode string) *servertest.Page {
	p := b.Get(b.Server.URL + "/device")
	return b.Follow(b.Post(action(p), url.Values{"user_code": {userCode}}))
}

// action is where the form of a page goes, empty when it has none.
func action(p *servertest.Page) string {
	_, rest, _ := strings.Cut(p.Body, `method="post" action="`)
	target, _, _ := strings.Cut(rest, `"`)
	return strings.ReplaceAll(target, "&amp;", "&")
}

// walk goes as a user from the code to the page that asks for the decision.
func (s *site) walk(b *servertest.Browser, userCode, user, password string) *servertest.Page {
	s.t.Helper()
	p := enter(b, userCode)
	if strings.Contains(p.URL, "/login?") {
		p = b.SignIn(p, user, password)
	}
	if p.Status != http.StatusOK || !strings.Contains(p.Body, `id="allow"`) {
		s.t.Fatalf("not asked for a decision: %d %s: %s", p.Status, p.URL, p.Body)
	}
	return p
}

// decide walks the whole way as alice, in a new browser.
func (s *site) decide(userCode, decision string) *servertest.Page {
	s.t.Helper()
	b := s.NewBrowser()
	return b.Decide(s.walk(b, userCode, registrytest.Alice, registrytest.AlicePassword), decision)
}

// approved is a device code that alice has approved.
func (s *site) approved(client string, more ...string) string {
	s.t.Helper()
	a := s.begun(client, more...)
	if p := s.decide(a.text("user_code"), "allow"); p.Text("result") != "You can go back to your device" {
		s.t.Fatalf("%d %s", p.Status, p.Body)
	}
	return a.text("device_code")
}
