package server_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// What the scope and resource parameters of an authorization request come to in the tokens (RFC 6749 section 3.3, RFC 8707).
func TestScopeAndResource(t *testing.T) {
	issuer := "the issuer"
	for _, c := range []struct {
		name             string
		scope, resource  string // of the authorization request
		named            string // in the token request
		wantScope        string
		audience         []any
		refreshed, idToo bool
	}{
		{name: "the resource that owns the scopes", scope: "photos.read", wantScope: "photos.read", audience: []any{registrytest.Photos}, refreshed: true},
		{name: "openid as well", scope: "openid photos.read", wantScope: "openid photos.read", audience: []any{registrytest.Photos, issuer}, idToo: true},
		{name: "identity scopes alone", scope: "openid", wantScope: "openid", audience: []any{issuer}, idToo: true},
		{name: "a resource and identity scopes alone", scope: "openid offline_access", resource: registrytest.Photos, named: registrytest.Photos,
			wantScope: "openid offline_access", audience: []any{registrytest.Photos, issuer}, refreshed: true, idToo: true},
		{name: "a resource and no scope", resource: registrytest.Photos, named: registrytest.Photos, wantScope: "photos.read photos.write",
			audience: []any{registrytest.Photos}, refreshed: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			b := s.NewBrowser()
			page := b.SignIn(b.Authorize("", request("scope", c.scope, "resource", c.resource)), registrytest.Alice, registrytest.AlicePassword)
			form := codeForm(b.Decide(page, "allow").Response(t).Get("code"))
			if c.named != "" {
				form.Set("resource", c.named)
			}
			status, tokens := s.token(s.URL, form)
			if status != http.StatusOK || tokens["scope"] != c.wantScope || (tokens["refresh_token"] != nil) != c.refreshed || (tokens["id_token"] != nil) != c.idToo {
				t.Fatalf("%d %v", status, tokens)
			}
			_, claims := parts(t, tokens["access_token"].(string))
			for i, audience := range c.audience {
				if audience == issuer {
					c.audience[i] = s.URL
				}
			}
			if !reflect.DeepEqual(claims["aud"], c.audience) {
				t.Errorf("aud %v, want %v", claims["aud"], c.audience)
			}
			if !c.refreshed {
				return
			}
			if status, again := s.refresh(s.URL, tokens["refresh_token"]); status != http.StatusOK || again["scope"] != c.wantScope {
				t.Errorf("refreshed: %d %v", status, again)
			}
		})
	}
}

// A scope for groups is for nobody else: consent leaves it out, and so do the tokens (RFC 6749 section 3.3).
func TestRequiredGroups(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	page := b.SignIn(b.Authorize("", request("scope", "", "resource", registrytest.Photos)), registrytest.Bob, registrytest.BobPassword)
	status, tokens := s.redeem(s.URL, b.Decide(page, "allow").Response(t).Get("code"))
	if status != http.StatusOK || tokens["scope"] != "photos.read" {
		t.Errorf("%d %v", status, tokens)
	}
}

// Pairwise subjects: two clients of different sectors can't tell that they know the same user, in any token.
func TestPairwiseSubjectsDifferBySector(t *testing.T) {
	s := newSite(t)
	seen := map[any]bool{}
	for _, sector := range []string{"", "demo/a.example", "demo/b.example"} {
		client := registrytest.Client(t, s.Issuer(""), registrytest.PrintShop)
		client.Sector = sector
		s.Publish(registrytest.WithClient(s.Issuer(""), client))
		tokens := s.offline("")
		for range 2 {
			_, id := parts(t, tokens["id_token"].(string))
			_, access := parts(t, tokens["access_token"].(string))
			if id["sub"] == nil || id["sub"] != access["sub"] || seen[id["sub"]] || id["sid"] == nil || seen[id["sid"]] {
				t.Errorf("sector %q: %v, %v, %v", sector, id["sub"], access["sub"], id["sid"])
			}
			if own, _ := access["oauth.latchkey.io"].(map[string]any); own["grant"] == nil || (own["user"] == nil) != (sector != "") {
				t.Errorf("sector %q: the access token tells %v", sector, own)
			}
			s.wantActive(tokens["access_token"], true)
			_, tokens = s.refresh(s.URL, tokens["refresh_token"])
		}
		_, id := parts(t, tokens["id_token"].(string))
		seen[id["sub"]], seen[id["sid"]] = true, true
	}
	if len(seen) != 6 {
		t.Errorf("%d subjects and sids", len(seen))
	}
}
