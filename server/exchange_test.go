package server_test

import (
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
)

// declareExchange makes Photos a client that may exchange its tokens for tokens for Orders; Nightly introspects those.
func (s *site) declareExchange() {
	s.t.Helper()
	iss := s.Issuer("")
	photos, _ := iss.Resources.Get(registrytest.Photos)
	orders, _ := iss.Resources.Get(registrytest.Orders)
	api, target := *photos, *orders
	api.Exchangers, target.Introspectors = []string{"demo.photos-api"}, []string{registrytest.Nightly}
	const uid = "uid-photos-api"
	s.Publish(registrytest.WithClient(registrytest.WithResource(registrytest.WithResource(iss, &api), &target), &registry.Client{
		ID: "demo.photos-api", UID: uid, Namespace: "demo", Name: "photos-api", GrantTypes: []string{oauth.GrantTokenExchange},
		Access:  []registry.Access{{Resource: &target, Scopes: target.Scopes}},
		Secrets: []registry.Secret{{ID: "one", Digest: iss.Keys.ClientDigest(uid, "one", time.Time{}, "api-secret")}},
	}))
}

// exchange exchanges a token as the photos' API.
func (s *site) exchange(issuer string, subject any) (int, map[string]any) {
	s.t.Helper()
	return s.token(issuer, url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "client_id": {"demo.photos-api"}, "client_secret": {"api-secret"},
		"subject_token": {subject.(string)}, "subject_token_type": {oauth.TokenTypeAccessToken}, "resource": {registrytest.Orders}, "scope": {registrytest.OrdersRead},
	})
}

// wantGood asks a TokenReview and introspection, at two replicas, whether a token for Orders is good.
func (s *site) wantGood(what string, raw any, want bool) {
	s.t.Helper()
	if got := s.reviewAt(raw, registrytest.Orders).Authenticated; got != want {
		s.t.Errorf("%s: TokenReview says %t", what, got)
	}
	for _, replica := range []string{s.URL, s.Replica().URL} {
		if got := s.introspect(replica, raw)["active"]; got != want {
			s.t.Errorf("%s: introspection says %v", what, got)
		}
	}
}

func TestTokenExchangeWritesNothing(t *testing.T) {
	s := newSite(t)
	s.declareExchange()
	tokens := s.offline("")
	s.Writes.Store(0)
	status, got := s.exchange(s.Replica().URL, tokens["access_token"])
	if status != http.StatusOK || s.Writes.Load() != 0 {
		t.Fatalf("%d %v, %d writes", status, got, s.Writes.Load())
	}
	want := map[string]any{
		"access_token": got["access_token"], "issued_token_type": oauth.TokenTypeAccessToken, "token_type": "Bearer",
		"expires_in": got["expires_in"], "scope": "orders.read",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	s.wantGood("a good one", got["access_token"], true)
	told := s.introspect(s.URL, got["access_token"])
	if told["username"] != "alice" || told["client_id"] != "demo.photos-api" || !reflect.DeepEqual(told["act"], map[string]any{"sub": "demo.photos-api"}) {
		t.Errorf("introspection says %v", told)
	}
	user := s.reviewAt(got["access_token"], registrytest.Orders).User
	if user.Username != "oauth:alice" || !reflect.DeepEqual(user.Extra["oauth.latchkey.io/actor"], []string{"demo.photos-api"}) {
		t.Errorf("TokenReview says %+v", user)
	}
	if p := s.userinfo(s.URL, got["access_token"]); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("userinfo: %s", p.Status)
	}
	if s.review(got["access_token"]) {
		t.Error("it is good where the one that it was got for is")
	}
}

// Whatever ends the grant ends what was got by exchange for its tokens, at every replica.
func TestNothingOfARevokedGrantIsGoodAfterExchange(t *testing.T) {
	for name, end := range map[string]func(s *site, tokens map[string]any) error{
		"the client gives its refresh token back": func(s *site, tokens map[string]any) error { s.revoke(tokens["refresh_token"]); return nil },
		"the client gives its access token back":  func(s *site, tokens map[string]any) error { s.revoke(tokens["access_token"]); return nil },
		"the user signs out": func(s *site, tokens map[string]any) error {
			return s.Grants.Revoke(t.Context(), s.grant(tokens["refresh_token"]).ID, store.ReasonSignedOut, s.Clock.Now())
		},
		"the grant is deleted": func(s *site, tokens map[string]any) error {
			return s.Grants.Delete(t.Context(), s.grant(tokens["refresh_token"]).ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.declareExchange()
			tokens := s.offline("")
			_, got := s.exchange(s.URL, tokens["access_token"])
			s.wantGood("before", got["access_token"], true)
			if err := end(s, tokens); err != nil {
				t.Fatal(err)
			}
			s.wantGood("after", got["access_token"], false)
			if status, body := s.exchange(s.URL, tokens["access_token"]); status != http.StatusBadRequest || body["error"] != "invalid_request" {
				t.Errorf("again: %d %v", status, body)
			}
		})
	}
}
