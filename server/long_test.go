package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// manyScopes lets the print shop ask Photos for 55 scopes with long names, and returns the scope parameter for all. Alice takes
// much room in a code too.
func manyScopes(s *site) string {
	s.t.Helper()
	iss := s.Issuer("")
	resource, _ := iss.Resources.Get(registrytest.Photos)
	photos := *resource
	names := []string{}
	for i := range 55 {
		name := fmt.Sprintf("photos.scope.with.quite.a.long.name.%03d", i)
		names = append(names, name)
		photos.Scopes = append(slices.Clone(photos.Scopes), &registry.Scope{Name: name, Description: "Do it"})
	}
	client := registrytest.Client(s.t, iss, registrytest.PrintShop)
	client.Access = []registry.Access{{Resource: &photos, Scopes: photos.Scopes}}
	alice := registrytest.User(s.t, iss, registrytest.Alice)
	alice.CredentialVersion = strings.Repeat("v", 512)
	s.publish(registrytest.WithUser(registrytest.WithClient(registrytest.WithResource(iss, &photos), client), alice))
	return strings.Join(names, " ")
}

// A request that the authorization endpoint takes gives a code that the token endpoint takes, or none.
func TestLongRequests(t *testing.T) {
	s := newSite(t)
	scope := "openid " + manyScopes(s)
	for name, c := range map[string]struct {
		nonce  string
		issued bool
	}{
		"many scopes":                        {"n", true},
		"and a long nonce":                   {strings.Repeat("<", 512), true},
		"and one that takes much room again": {strings.Repeat("\x01", 512), false},
	} {
		b := s.NewBrowser()
		page := b.Authorize("", request("scope", scope, "nonce", c.nonce, "prompt", "consent"))
		answer := b.Decide(b.SignIn(page, registrytest.Alice, registrytest.AlicePassword), "allow").Response(t)
		if !c.issued {
			if answer.Get("error") != "invalid_request" || answer.Has("code") {
				t.Errorf("%s: a code of %d characters, error %q", name, len(answer.Get("code")), answer.Get("error"))
			}
			continue
		}
		status, body := s.redeem(s.URL, answer.Get("code"))
		if status != http.StatusOK || body["scope"] != scope {
			t.Errorf("%s: a code of %d characters: %d %v", name, len(answer.Get("code")), status, body)
		}
	}
}
