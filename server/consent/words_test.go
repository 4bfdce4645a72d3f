package consent_test

import (
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Whatever is granted is on the page, in words: scopes, claims asked for by name, access while the user is away.
func TestPageSaysWhatIsGranted(t *testing.T) {
	s := servertest.Start(t)
	client := registrytest.Client(t, s.Issuer(""), registrytest.PrintShop)
	client.Scopes = append(client.Scopes, oauth.ScopeAddress, oauth.ScopePhone)
	s.Publish(registrytest.WithClient(s.Issuer(""), client))
	params := servertest.Params()
	params.Set("scope", "openid address phone photos.read offline_access")
	params.Set("claims", `{"userinfo":{"birthdate":{"essential":true},"name":null,"groups":null},"id_token":{"name":null,"auth_time":null}}`)
	b := s.NewBrowser()
	p := b.SignIn(b.Authorize("", params), registrytest.Alice, registrytest.AlicePassword)
	for _, want := range []string{"Know that it is you", "See your postal address", "See your phone number", "See your photos", "See your date of birth", "Keep access while you are away"} {
		if !strings.Contains(p.Body, want) {
			t.Errorf("the page does not tell: %s", want)
		}
	}
	if strings.Count(p.Body, "See your full name") != 1 {
		t.Error("a claim that is asked for twice is one thing to a person")
	}
	if strings.Contains(p.Body, "See the groups") {
		t.Error("the client does not declare the scope groups")
	}
	code := issued(t, s.Issuer(""), b.Decide(p, "allow"))
	if oauth.JoinScope(code.UserinfoClaims) != "birthdate name" || oauth.JoinScope(code.IDTokenClaims) != "name" {
		t.Errorf("claims %v and %v", code.UserinfoClaims, code.IDTokenClaims)
	}
}

// Without openid a client that may refresh gets a refresh token: the page says so, though no scope does.
func TestPageSaysThatAccessIsKept(t *testing.T) {
	s := servertest.Start(t)
	for _, refreshes := range []bool{true, false} {
		client := registrytest.Client(t, s.Issuer(""), registrytest.PrintShop)
		client.GrantTypes = []string{oauth.GrantAuthorizationCode}
		if refreshes {
			client.GrantTypes = append(client.GrantTypes, oauth.GrantRefreshToken)
		}
		s.Publish(registrytest.WithClient(s.Issuer(""), client))
		for scope, want := range map[string]bool{"photos.read": refreshes, "openid photos.read": false, "openid offline_access": refreshes} {
			params := servertest.Params()
			params.Set("scope", scope)
			b := s.NewBrowser()
			p := b.SignIn(b.Authorize("", params), registrytest.Alice, registrytest.AlicePassword)
			if said := strings.Contains(p.Body, ui.OfflineWords); said != want || p.Text("allow") == "" {
				t.Errorf("%s, refreshes %t: said %t", scope, refreshes, said)
			}
			if code := issued(t, s.Issuer(""), b.Decide(p, "allow")); scope == "photos.read" && len(code.Scopes) != 0 {
				t.Errorf("%s: granted %v", scope, code.Scopes)
			}
		}
	}
}

// Nothing is asked for without words.
func TestScopesAndClaimsHaveWords(t *testing.T) {
	for _, name := range token.ClaimNames() {
		if l := ui.Claim(name); l.Name != name || l.Description == "" {
			t.Errorf("%s: %+v", name, l)
		}
	}
	for _, name := range []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeAddress, oauth.ScopePhone, oauth.ScopeGroups, oauth.ScopeOfflineAccess} {
		if l := ui.IdentityScope(name); l.Name != name || l.Description == "" {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// A resource that is named with identity scopes alone is on the page, too: it learns who the user is.
func TestPageNamesAResourceWithoutScopes(t *testing.T) {
	s := servertest.Start(t)
	params := servertest.Params()
	params.Set("scope", "openid")
	params.Set("resource", registrytest.Orders)
	b := s.NewBrowser()
	p := b.SignIn(b.Authorize("", params), registrytest.Alice, registrytest.AlicePassword)
	if !strings.Contains(p.Body, registrytest.Orders) || !strings.Contains(p.Body, "Prove to it that it is you") {
		t.Errorf("%s", p.Body)
	}
}
