package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
)

// refresh refreshes as the print shop, with more parameters.
func (s *site) refresh(issuer string, refreshToken any, extra ...string) (int, map[string]any) {
	s.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken.(string)}}
	for i := 0; i < len(extra); i += 2 {
		form.Add(extra[i], extra[i+1])
	}
	return s.token(issuer, form)
}

// offline is what the print shop gets from alice for access that lasts.
func (s *site) offline(path string) map[string]any {
	s.t.Helper()
	b := s.NewBrowser()
	asked := request("scope", "openid offline_access photos.read photos.write", "prompt", "consent")
	consent := b.SignIn(b.Authorize(path, asked), registrytest.Alice, registrytest.AlicePassword)
	status, tokens := s.redeem(s.URL+path, b.Decide(consent, "allow").Response(s.t).Get("code"))
	if status != http.StatusOK || tokens["refresh_token"] == nil {
		s.t.Fatalf("%d %v", status, tokens)
	}
	return tokens
}

// grant is the one that a refresh token belongs to.
func (s *site) grant(refreshToken any) *store.Grant {
	s.t.Helper()
	id, _, _ := strings.Cut(refreshToken.(string), ".")
	g, err := s.Grants.Get(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

func (s *site) wantRefused(what string, status int, body map[string]any, code string) {
	s.t.Helper()
	if status != http.StatusBadRequest || body["error"] != code {
		s.t.Errorf("%s: %d %v, want 400 %s", what, status, body, code)
	}
}

func (s *site) wantActive(access any, good bool) {
	s.t.Helper()
	if p := s.userinfo(s.URL, access); (p.StatusCode == http.StatusOK) != good {
		s.t.Errorf("the access token: %s %s, want it good: %v", p.Status, p.body, good)
	}
}

func TestRefreshCostsOneWrite(t *testing.T) {
	s := newSite(t)
	last := s.offline("")
	for range 3 {
		s.Clock.Advance(time.Hour)
		s.Writes.Store(0)
		status, next := s.refresh(s.URL, last["refresh_token"])
		if status != http.StatusOK || next["id_token"] == nil || next["refresh_token"] == last["refresh_token"] || s.Writes.Load() != 1 {
			t.Fatalf("%d %v, after %d writes", status, next, s.Writes.Load())
		}
		s.wantActive(next["access_token"], true)
		// A response that was lost is given again, for nothing.
		status, again := s.refresh(s.Replica().URL, last["refresh_token"])
		if status != http.StatusOK || again["refresh_token"] != next["refresh_token"] || s.Writes.Load() != 1 {
			t.Fatalf("again: %d %v, after %d writes", status, again, s.Writes.Load())
		}
		last = next
	}
}

func TestRefreshHundredAtOnceAcrossReplicas(t *testing.T) {
	s := newSite(t)
	replicas := []string{s.URL, s.Replica().URL}
	tokens := s.offline("")
	var (
		wg         sync.WaitGroup
		mu         sync.Mutex
		successors = map[any]int{}
	)
	for i := range 100 {
		wg.Go(func() {
			status, body := s.refresh(replicas[i%2], tokens["refresh_token"])
			if status != http.StatusOK {
				t.Errorf("%d %v", status, body)
			}
			mu.Lock()
			defer mu.Unlock()
			successors[body["refresh_token"]]++
		})
	}
	wg.Wait()
	if g := s.grant(tokens["refresh_token"]); len(successors) != 1 || g.Generation != 2 || !g.RevokedAt.IsZero() {
		t.Errorf("%d successors, grant %+v", len(successors), g)
	}
}

// Refresh reuse after the grace window revokes the family, at every replica.
func TestRefreshReuseRevokesTheFamily(t *testing.T) {
	s := newSite(t)
	replica := s.Replica().URL
	first := s.offline("")
	_, second := s.refresh(s.URL, first["refresh_token"])
	s.Clock.Advance(31 * time.Second)
	s.wantActive(second["access_token"], true)
	status, body := s.refresh(replica, first["refresh_token"])
	s.wantRefused("the spent token", status, body, "invalid_grant")
	for _, at := range []string{s.URL, replica} {
		status, body = s.refresh(at, second["refresh_token"])
		s.wantRefused("its successor", status, body, "invalid_grant")
	}
	s.wantActive(first["access_token"], false)
	s.wantActive(second["access_token"], false)
	if g := s.grant(first["refresh_token"]); g.RevokedReason != store.ReasonRefreshTokenReused {
		t.Errorf("grant %+v", g)
	}
	if log := s.Log.String(); !strings.Contains(log, `"reason":"RefreshTokenReused"`) {
		t.Error("no audit event")
	}
}

func TestRefreshAcrossClients(t *testing.T) {
	s := newSite(t)
	tokens := s.offline("")
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}, "client_id": {registrytest.Native}}
	status, body := s.token(s.URL, form)
	s.wantRefused("another client", status, body, "invalid_grant")
	s.wantActive(tokens["access_token"], true)
	if status, body := s.refresh(s.URL, tokens["refresh_token"]); status != http.StatusOK {
		t.Errorf("the client's own attempt: %d %v", status, body)
	}
}

func TestRefreshWithWidenedScopeOrResource(t *testing.T) {
	s := newSite(t)
	tokens := s.offline("")
	s.Writes.Store(0)
	for _, c := range []struct{ name, value, want string }{
		{"scope", "openid photos.read orders.read", "invalid_scope"},
		{"scope", "openid profile", "invalid_scope"},
		{"scope", "photos.admin", "invalid_scope"},
		{"resource", registrytest.Orders, "invalid_target"},
		{"resource", "https://evil.example", "invalid_target"},
		{"resource", s.URL, "invalid_target"},
	} {
		status, body := s.refresh(s.URL, tokens["refresh_token"], c.name, c.value)
		s.wantRefused(c.name+" "+c.value, status, body, c.want)
	}
	if n := s.Writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
	if status, body := s.refresh(s.URL, tokens["refresh_token"], "scope", "photos.read"); status != http.StatusOK || body["scope"] != "photos.read" {
		t.Errorf("narrowed: %d %v", status, body)
	}
}

// Somebody who knows a grant id but no secret presents it: plain invalid_grant; the grant lives on.
func TestRefreshByWhoKnowsTheGrantAlone(t *testing.T) {
	s := newSite(t)
	first := s.offline("")
	_, second := s.refresh(s.URL, first["refresh_token"])
	s.Clock.Advance(time.Hour)
	s.Writes.Store(0)
	id, _, _ := strings.Cut(first["refresh_token"].(string), ".")
	secret := first["refresh_token"].(string)[strings.LastIndex(first["refresh_token"].(string), ".")+1:]
	for _, forged := range []string{id, id + ".1", id + ".1.", id + ".1." + strings.Repeat("A", 43), id + ".2." + secret, id + ".0." + secret, id + ".01." + secret} {
		status, body := s.refresh(s.URL, forged)
		s.wantRefused(forged, status, body, "invalid_grant")
	}
	if n := s.Writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
	if status, body := s.refresh(s.URL, second["refresh_token"]); status != http.StatusOK {
		t.Errorf("the grant is dead: %d %v", status, body)
	}
}

// Each kind of token is worth nothing where another is wanted, and so is one of another issuer.
func TestTokenConfusion(t *testing.T) {
	s := newSite(t, "", "/team")
	team := s.Issuer("/team").URL
	code := s.authorize("").Get("code")
	tokens := s.offline("")
	for what, raw := range map[string]any{
		"an access token": tokens["access_token"], "an ID token": tokens["id_token"], "a code": code, "one of another issuer": s.offline("/team")["refresh_token"],
	} {
		status, body := s.refresh(s.URL, raw)
		s.wantRefused(what+" as refresh token", status, body, "invalid_grant")
	}
	status, body := s.refresh(team, tokens["refresh_token"])
	s.wantRefused("a refresh token at another issuer", status, body, "invalid_grant")
	for _, what := range []string{"refresh_token", "access_token", "id_token"} {
		status, body := s.redeem(s.URL, tokens[what].(string))
		s.wantRefused(what+" as code", status, body, "invalid_grant")
	}
	for _, what := range []string{"refresh_token", "id_token"} {
		s.wantActive(tokens[what], false)
	}
	s.wantActive(code, false)
	if p := s.userinfo(team, tokens["access_token"]); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("an access token at another issuer: %s", p.Status)
	}
	s.wantActive(tokens["access_token"], true)
}

// What ends an access token ends the refresh token too: client or user gone, access withdrawn, group left.
func TestRefreshChecksWhatRedemptionChecked(t *testing.T) {
	s := newSite(t)
	tokens := s.offline("")
	before := s.Issuer("")
	for what, after := range map[string]*registry.Issuer{
		"user disabled or deleted": registrytest.Without(before, registrytest.Alice),
		"access withdrawn": registrytest.WithClient(before, func() *registry.Client {
			c := registrytest.Client(t, before, registrytest.PrintShop)
			c.Access = c.Access[1:]
			return c
		}()),
	} {
		s.Publish(after)
		status, body := s.refresh(s.URL, tokens["refresh_token"])
		s.wantRefused(what, status, body, "invalid_grant")
	}
	bare := registrytest.User(t, before, registrytest.Alice)
	bare.Groups = nil
	s.Publish(registrytest.WithUser(before, bare))
	if status, body := s.refresh(s.URL, tokens["refresh_token"]); status != http.StatusOK || body["scope"] != "openid offline_access photos.read" {
		t.Errorf("group left: %d %v", status, body)
	}
}

func TestClientCredentialsWriteNothing(t *testing.T) {
	s := newSite(t)
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"photos.read"}, "client_id": {registrytest.Nightly}, "client_secret": {registrytest.NightlySecret}}
	status, body := s.token(s.URL, form)
	if status != http.StatusOK || body["refresh_token"] != nil || body["id_token"] != nil || s.Writes.Load() != 0 {
		t.Fatalf("%d %v, %d writes", status, body, s.Writes.Load())
	}
	s.wantActive(body["access_token"], false)
}
