package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// site is a whole server, and what a client and a resource server do with it.
type site struct {
	*servertest.Server
	t *testing.T
}

func newSite(t *testing.T, paths ...string) *site {
	t.Helper()
	return &site{servertest.Start(t, paths...), t}
}

func (s *site) publish(issuers ...*registry.Issuer) { s.Holder.Store(registry.NewSnapshot(issuers)) }

// request is a good authorization request, with some parameters changed or, where empty, left out.
func request(changes ...string) url.Values {
	v := servertest.Params()
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			v.Del(changes[i])
			continue
		}
		v.Set(changes[i], changes[i+1])
	}
	return v
}

// authorize walks sign-in and consent as alice, and returns the parameters with which the client is called back.
func (s *site) authorize(path string) url.Values {
	s.t.Helper()
	b := s.NewBrowser()
	consent := b.SignIn(b.Authorize(path, request()), registrytest.Alice, registrytest.AlicePassword)
	return b.Decide(consent, "allow").Response(s.t)
}

// reply is an answer that has been read.
type reply struct {
	*http.Response
	body string
}

// send sends a request; its Host may differ from where it goes.
func (s *site) send(r *http.Request) reply {
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
	return reply{res, string(body)}
}

func (s *site) newRequest(method, target string, body io.Reader) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, target, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// ask sends a request without a body, with a Host header of its own.
func (s *site) ask(method, path, host string, header ...string) reply {
	s.t.Helper()
	r := s.newRequest(method, s.URL+path, nil)
	r.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.send(r)
}

// codeForm is the token request for a code.
func codeForm(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {registrytest.PrintShopRedirect}, "code_verifier": {servertest.Verifier},
	}
}

// redeem exchanges a code at an issuer.
func (s *site) redeem(issuer, code string) (int, map[string]any) {
	s.t.Helper()
	return s.token(issuer, codeForm(code))
}

// token sends a token request; the print shop authenticates unless the form names a client.
func (s *site) token(issuer string, form url.Values) (int, map[string]any) {
	s.t.Helper()
	r := s.newRequest(http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !form.Has("client_id") {
		r.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
	}
	p := s.send(r)
	var out map[string]any
	if err := json.Unmarshal([]byte(p.body), &out); err != nil {
		s.t.Fatalf("%s: %v in %q", p.Status, err, p.body)
	}
	if cache := p.Header.Get("Cache-Control"); cache != "no-store" {
		s.t.Errorf("Cache-Control %q", cache)
	}
	return p.StatusCode, out
}

// userinfo asks an issuer who a token is for.
func (s *site) userinfo(issuer string, token any) reply {
	s.t.Helper()
	r := s.newRequest(http.MethodGet, issuer+"/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+token.(string))
	return s.send(r)
}
