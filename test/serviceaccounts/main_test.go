// Package serviceaccounts holds what is promised to clients without a credential of their own: the whole server over HTTP, with
// ServiceAccounts of a real control plane and the tokens that it gives them.
package serviceaccounts

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/workload/workloadtest"
)

var cluster *workloadtest.Cluster

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{NoControllerManager: true}, func(cp *controlplane.ControlPlane) error {
		var err error
		cluster, err = workloadtest.New(cp)
		return err
	}))
}

// site is a server whose print shop is a ServiceAccount of its namespace, or one of several.
type site struct {
	*servertest.Server
	t    *testing.T
	wire *workloadtest.Wire
	// account is a ServiceAccount that is the print shop.
	account string
}

func newSite(t *testing.T, c *workloadtest.Cluster, more ...string) *site {
	t.Helper()
	s := &site{t: t, account: c.Account(t)}
	s.Server = servertest.StartWith(t, func(config *server.Config) {
		config.Callers, s.wire = c.CallersOf(t, config.Holder.Has, config.Now)
	}, "", "/other")
	s.declare(append(more, s.account)...)
	return s
}

// declare says which ServiceAccounts are the print shop, at both issuers.
func (s *site) declare(accounts ...string) {
	s.t.Helper()
	for _, path := range []string{"", "/other"} {
		c := registrytest.Client(s.t, s.Issuer(path), registrytest.PrintShop)
		c.Secrets, c.ServiceAccounts = nil, accounts
		c.GrantTypes = []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantClientCredentials, oauth.GrantDeviceCode}
		s.Publish(registrytest.WithClient(s.Issuer(path), c))
	}
}

// good is a token of the print shop's ServiceAccount.
func (s *site) good(c *workloadtest.Cluster) string {
	s.t.Helper()
	return c.Token(s.t, s.account, s.URL)
}

// reply is an answer in JSON.
type reply struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (r reply) string(name string) string { v, _ := r.body[name].(string); return v }

// present shows a ServiceAccount token at an endpoint, as the print shop.
func (s *site) present(path, raw string, more ...string) reply {
	s.t.Helper()
	form := url.Values{"client_id": {registrytest.PrintShop}, "client_assertion_type": {oauth.AssertionTypeJWTBearer}, "client_assertion": {raw}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", oauth.FormMediaType)
	response, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := reply{status: response.StatusCode, header: response.Header, text: string(text)}
	if err := json.Unmarshal(text, &answer.body); err != nil {
		s.t.Fatalf("%s: %d %s: %v", path, answer.status, text, err)
	}
	return answer
}

// endpoint is one at which clients authenticate, with a request that is good but for that.
type endpoint struct {
	path string
	form []string
}

func endpoints() []endpoint {
	return []endpoint{
		{"/token", []string{"grant_type", oauth.GrantClientCredentials, "resource", registrytest.Photos, "scope", registrytest.PhotosRead}},
		{"/revoke", []string{"token", "unknown"}},
		{"/introspect", []string{"token", "unknown"}},
		{"/device_authorization", []string{"scope", registrytest.PhotosRead}},
	}
}

// wantEverywhere presents a token at every endpoint.
func (s *site) wantEverywhere(what, raw string, status int, code oauth.Code, more ...string) {
	s.t.Helper()
	for _, e := range endpoints() {
		got := s.present(e.path, raw, slices.Concat(e.form, more)...)
		if got.status != status || got.string("error") != string(code) {
			s.t.Errorf("%s at %s: %d %s", what, e.path, got.status, got.text)
		}
		if code == oauth.InvalidClient && (got.string("error_description") != "client authentication failed" || got.header.Get("WWW-Authenticate") != "") {
			s.t.Errorf("%s at %s has an answer of its own: %v %s", what, e.path, got.header, got.text)
		}
	}
}

// change publishes a client with a change.
func (s *site) change(id string, change func(*registry.Client)) {
	s.t.Helper()
	c := registrytest.Client(s.t, s.Issuer(""), id)
	change(c)
	s.Publish(registrytest.WithClient(s.Issuer(""), c))
}
