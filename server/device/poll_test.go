package device_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
)

// RFC 8628 section 3.5, from the first request to the tokens, which cost three writes: what the device asks for, what the user decided, and
// the grant.
func TestDeviceFlowCostsThreeWrites(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	code := a.text("device_code")
	wantError(t, s.poll(s.URL, registrytest.PrintShop, code), oauth.AuthorizationPending)
	if n := s.Writes.Load(); n != 1 {
		t.Errorf("%d writes before the user decided", n)
	}
	s.decide(a.text("user_code"), "allow")
	if n := s.Writes.Load(); n != 2 {
		t.Errorf("%d writes before the code was redeemed", n)
	}
	s.Clock.Advance(5 * time.Second)
	tokens := s.poll(s.URL, registrytest.PrintShop, code)
	if tokens.status != http.StatusOK || tokens.text("token_type") != "Bearer" || tokens.text("id_token") == "" || tokens.text("scope") != "openid photos.read photos.write" {
		t.Fatalf("%d %v", tokens.status, tokens.body)
	}
	if n := s.Writes.Load(); n != 3 {
		t.Errorf("the flow cost %d writes", n)
	}
	if got := s.userinfo(tokens.text("access_token")); got.status != http.StatusOK || got.text("sub") == "" {
		t.Errorf("userinfo: %d %v", got.status, got.body)
	}
}

func (s *site) userinfo(accessToken string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL+"/userinfo", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+accessToken)
	return s.send(r)
}

// A device that asks for it gets a refresh token, and can use it.
func TestDeviceRefreshes(t *testing.T) {
	s := newSite(t)
	s.change(registrytest.PrintShop, func(c *registry.Client) {
		c.GrantTypes, c.Scopes = append(c.GrantTypes, oauth.GrantRefreshToken), append(c.Scopes, oauth.ScopeOfflineAccess)
	})
	tokens := s.poll(s.URL, registrytest.PrintShop, s.approved(registrytest.PrintShop, "scope", "openid photos.read offline_access"))
	if tokens.text("refresh_token") == "" {
		t.Fatalf("%v", tokens.body)
	}
	s.Clock.Advance(time.Hour)
	again := s.post(s.URL+"/token", credentials(registrytest.PrintShop, "grant_type", "refresh_token", "refresh_token", tokens.text("refresh_token")))
	if again.status != http.StatusOK || again.text("access_token") == "" {
		t.Errorf("%d %v", again.status, again.body)
	}
	if without := s.poll(s.URL, registrytest.PrintShop, s.approved(registrytest.PrintShop)); without.status != http.StatusOK || without.text("refresh_token") != "" {
		t.Errorf("one that did not ask for it: %v", without.body)
	}
}

// A public client has a client_id and nothing else.
func TestPublicDevice(t *testing.T) {
	s := newSite(t)
	tokens := s.poll(s.URL, registrytest.Native, s.approved(registrytest.Native, "scope", "photos.read"))
	if tokens.status != http.StatusOK || tokens.text("scope") != "photos.read" || tokens.text("id_token") != "" {
		t.Errorf("%d %v", tokens.status, tokens.body)
	}
}

// Row: fast polling → slow_down. The interval is 5 seconds, and grows by 5 each time that a device is too fast.
func TestFastPolling(t *testing.T) {
	s := newSite(t)
	code, other := s.begun(registrytest.PrintShop).text("device_code"), s.begun(registrytest.PrintShop).text("device_code")
	for i, step := range []struct {
		after time.Duration
		want  oauth.Code
	}{
		{0, oauth.AuthorizationPending},
		{5 * time.Second, oauth.AuthorizationPending},
		{4600 * time.Millisecond, oauth.AuthorizationPending}, // the network was quicker than before
		{4 * time.Second, oauth.SlowDown},                     // from now on 10 seconds
		{9 * time.Second, oauth.SlowDown},                     // 15
		{15 * time.Second, oauth.AuthorizationPending},
		{0, oauth.SlowDown}, // 20
		{15 * time.Second, oauth.SlowDown},
		{25 * time.Second, oauth.AuthorizationPending},
	} {
		s.Clock.Advance(step.after)
		if a := s.poll(s.URL, registrytest.PrintShop, code); a.text("error") != string(step.want) || a.status != http.StatusBadRequest {
			t.Errorf("request %d: %d %v, want %s", i, a.status, a.body, step.want)
		}
	}
	wantError(t, s.poll(s.URL, registrytest.PrintShop, other), oauth.AuthorizationPending)
	if n := s.Writes.Load(); n != 2 {
		t.Errorf("%d writes, want those of the two requests alone", n)
	}
}

// Another client's, forged and damaged codes, and what else is sealed.
func TestCodesThatAreNotTheClients(t *testing.T) {
	s := newSite(t)
	a := s.begun(registrytest.PrintShop)
	code := a.text("device_code")
	sealed, err := s.Issuer("").Keys.Seal(s.URL, "code", []byte(`{"n":"x"}`), s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	middle := len(code) / 2
	for name, presented := range map[string]string{
		"forged": "forged", "truncated": code[:len(code)-4], "extended": code + "AAAA", "the user code": a.text("user_code"),
		"one character changed": code[:middle] + strings.Map(func(r rune) rune {
			if r == 'A' {
				return 'B'
			}
			return 'A'
		}, code[middle:middle+1]) + code[middle+1:],
		"a sealed value of another step": sealed, "huge": strings.Repeat("A", 8000),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, s.poll(s.URL, registrytest.PrintShop, presented), oauth.InvalidGrant) })
	}
	wantError(t, s.poll(s.URL, registrytest.PrintShop, ""), oauth.InvalidRequest)
	s.decide(a.text("user_code"), "allow")
	wantError(t, s.poll(s.URL, registrytest.Native, code), oauth.InvalidGrant)
	wantError(t, s.post(s.URL+"/token", credentials(registrytest.PrintShop, "grant_type", oauth.GrantAuthorizationCode, "code", code)), oauth.InvalidGrant)
	if got := s.poll(s.URL, registrytest.PrintShop, code); got.status != http.StatusOK {
		t.Errorf("its own client can't use it any more: %v", got.body)
	}
}

// Expired codes, whether or not a user approved in time.
func TestDeviceCodeExpires(t *testing.T) {
	s := newSite(t)
	waiting := s.begun(registrytest.PrintShop)
	s.Clock.Advance(9*time.Minute + 59*time.Second)
	wantError(t, s.poll(s.URL, registrytest.PrintShop, waiting.text("device_code")), oauth.AuthorizationPending)
	s.decide(waiting.text("user_code"), "allow")
	s.Clock.Advance(2 * time.Second)
	wantError(t, s.poll(s.URL, registrytest.PrintShop, waiting.text("device_code")), oauth.ExpiredToken)

	late := s.approved(registrytest.PrintShop)
	s.Clock.Advance(2 * time.Minute)
	wantError(t, s.poll(s.URL, registrytest.PrintShop, late), oauth.ExpiredToken)
}

// Everything that redemption of a code checks again is checked again here.
func TestCheckedAgainAtRedemption(t *testing.T) {
	for name, tc := range map[string]struct {
		world func(*testing.T, *site)
		more  []string
		want  oauth.Code
	}{
		"user deleted": {world: func(_ *testing.T, s *site) { s.Publish(registrytest.Without(s.Issuer(""), registrytest.Alice)) }},
		"user created again": {world: func(t *testing.T, s *site) {
			u := registrytest.User(t, s.Issuer(""), registrytest.Alice)
			u.UID = "another"
			s.Publish(registrytest.WithUser(s.Issuer(""), u))
		}},
		"password changed": {world: func(t *testing.T, s *site) {
			u := registrytest.User(t, s.Issuer(""), registrytest.Alice)
			u.CredentialVersion = "2"
			s.Publish(registrytest.WithUser(s.Issuer(""), u))
		}},
		"the user cut off": {world: func(t *testing.T, s *site) {
			s.Clock.Advance(2 * time.Second)
			u := registrytest.User(t, s.Issuer(""), registrytest.Alice)
			u.RevokedBefore = registry.Cutoff(s.Clock.Now())
			s.Publish(registrytest.WithUser(s.Issuer(""), u))
		}},
		"the client cut off": {world: func(_ *testing.T, s *site) {
			s.Clock.Advance(2 * time.Second)
			s.change(registrytest.PrintShop, func(c *registry.Client) { c.RevokedBefore = registry.Cutoff(s.Clock.Now()) })
		}},
		"client created again": {world: func(_ *testing.T, s *site) {
			s.change(registrytest.PrintShop, func(c *registry.Client) {
				c.UID = "another"
				c.Secrets = []registry.Secret{{ID: "one", Digest: s.Issuer("").Keys.ClientDigest(c.UID, "one", time.Time{}, registrytest.PrintShopSecret)}}
			})
		}},
		"client deleted": {want: oauth.InvalidClient, world: func(_ *testing.T, s *site) { s.Publish(registrytest.Without(s.Issuer(""), registrytest.PrintShop)) }},
		"grant type withdrawn": {want: oauth.UnauthorizedClient, world: func(_ *testing.T, s *site) {
			s.change(registrytest.PrintShop, func(c *registry.Client) { c.GrantTypes = []string{oauth.GrantAuthorizationCode} })
		}},
		"access withdrawn": {world: func(_ *testing.T, s *site) {
			s.change(registrytest.PrintShop, func(c *registry.Client) { c.Access = nil })
		}},
		"another resource named": {want: oauth.InvalidTarget, more: []string{"resource", registrytest.Orders}, world: func(*testing.T, *site) {}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			code := s.approved(registrytest.PrintShop)
			tc.world(t, s)
			if tc.want == "" {
				tc.want = oauth.InvalidGrant
			}
			wantError(t, s.poll(s.URL, registrytest.PrintShop, code, tc.more...), tc.want)
			if n := s.Writes.Load(); n != 2 {
				t.Errorf("%d writes: a grant was made", n)
			}
		})
	}
}

// An administrator who deletes a device authorization denies it, decided or not.
func TestDeletedDeviceAuthorization(t *testing.T) {
	for name, decide := range map[string]bool{"approved": true, "waiting": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			a := s.begun(registrytest.PrintShop)
			if decide {
				s.decide(a.text("user_code"), "allow")
			}
			name := s.Issuer("").Keys.UserCodeID(strings.ReplaceAll(a.text("user_code"), "-", ""))
			if err := s.Devices.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			wantError(t, s.poll(s.URL, registrytest.PrintShop, a.text("device_code")), oauth.AccessDenied)
		})
	}
}

// What is not allowed any more is left out, the rest is issued.
func TestNarrowedAtRedemption(t *testing.T) {
	s := newSite(t)
	code := s.approved(registrytest.PrintShop)
	u := registrytest.User(t, s.Issuer(""), registrytest.Alice)
	u.Groups = nil
	s.Publish(registrytest.WithUser(s.Issuer(""), u))
	if a := s.poll(s.URL, registrytest.PrintShop, code); a.text("scope") != "openid photos.read" {
		t.Errorf("%d %v", a.status, a.body)
	}
}

// Row: device code replay: three times in sequence; exactly one success, and what it produced is revoked.
func TestDeviceCodeReplayInSequence(t *testing.T) {
	s := newSite(t)
	code := s.approved(registrytest.PrintShop)
	tokens := s.poll(s.URL, registrytest.PrintShop, code)
	if got := s.userinfo(tokens.text("access_token")); got.status != http.StatusOK {
		t.Fatalf("before the replay: %d %v", got.status, got.body)
	}
	for range 2 {
		wantError(t, s.poll(s.URL, registrytest.PrintShop, code), oauth.InvalidGrant)
	}
	if got := s.userinfo(tokens.text("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("what the code produced lives on: %d", got.status)
	}
}

// However late it is presented again: as long as it could be mistaken for a code that nobody has used.
func TestDeviceCodeReplayLate(t *testing.T) {
	s := newSite(t)
	code := s.approved(registrytest.PrintShop)
	tokens := s.poll(s.URL, registrytest.PrintShop, code)
	s.Clock.Advance(5 * time.Minute)
	wantError(t, s.poll(s.URL, registrytest.PrintShop, code), oauth.InvalidGrant)
	if got := s.userinfo(tokens.text("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("what the code produced lives on: %d", got.status)
	}
}

// Row: device code replay: 100 at once, across replicas; exactly one success.
func TestDeviceCodeReplayHundredAtOnceAcrossReplicas(t *testing.T) {
	s := newSite(t)
	replicas := []string{s.URL, s.Replica().URL}
	code := s.approved(registrytest.PrintShop)
	var (
		wg     sync.WaitGroup
		won    atomic.Int64
		tokens atomic.Value
	)
	for i := range 100 {
		wg.Go(func() {
			a := s.poll(replicas[i%2], registrytest.PrintShop, code)
			if a.status == http.StatusOK {
				won.Add(1)
				tokens.Store(a.text("access_token"))
				return
			}
			wantError(t, a, oauth.InvalidGrant)
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Fatalf("%d of 100 succeeded", n)
	}
	if got := s.userinfo(tokens.Load().(string)); got.status != http.StatusUnauthorized {
		t.Errorf("what the code produced lives on: %d", got.status)
	}
}

// Row: device code replay after `kubectl delete oauthgrant`.
func TestDeviceCodeReplayAfterDeletion(t *testing.T) {
	s := newSite(t)
	code := s.approved(registrytest.PrintShop)
	s.poll(s.URL, registrytest.PrintShop, code)
	grants, err := s.Grants.Find(t.Context(), store.Query{AuthorizationServer: s.Issuer("").Name, UserUID: registrytest.AliceUID})
	if err != nil || len(grants) != 1 {
		t.Fatalf("%v, %v", grants, err)
	}
	if err := s.Grants.Delete(t.Context(), grants[0].ID); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, time.Minute, 5 * time.Minute} {
		s.Clock.Advance(after)
		if a := s.poll(s.URL, registrytest.PrintShop, code); a.status == http.StatusOK {
			t.Errorf("after %s: %v", after, a.body)
		}
	}
	if _, err := s.Grants.Get(t.Context(), grants[0].ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the grant is back: %v", err)
	}
}

// What one replica is told, another knows: a device begins at one, its user is at another, and it asks a third.
func TestDeviceFlowAcrossReplicas(t *testing.T) {
	s := newSite(t)
	third := s.Replica()
	a := s.begun(registrytest.PrintShop)
	wantError(t, s.poll(third.URL, registrytest.PrintShop, a.text("device_code")), oauth.AuthorizationPending)
	s.decide(a.text("user_code"), "allow")
	if got := s.poll(third.URL, registrytest.PrintShop, a.text("device_code")); got.status != http.StatusOK {
		t.Errorf("%d %v", got.status, got.body)
	}
	wantError(t, s.poll(s.URL, registrytest.PrintShop, a.text("device_code")), oauth.InvalidGrant)
}
