package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func TestCodeFlowCostsOneWrite(t *testing.T) {
	s := newSite(t)
	back := s.authorize(s.issuer.URL, request())
	if back.Get("state") != state || back.Get("iss") != s.issuer.URL || back.Get("error") != "" {
		t.Fatalf("called back with %v", back)
	}
	if n := s.grants.creates.Load() + s.grants.revokes.Load(); n != 0 {
		t.Errorf("%d writes before the code was redeemed", n)
	}
	status, tokens := s.redeem(s.issuer.URL, back.Get("code"))
	if status != http.StatusOK || tokens["token_type"] != "Bearer" || tokens["id_token"] == nil {
		t.Fatalf("%d %v", status, tokens)
	}
	info := s.userinfo(s.issuer.URL, tokens["access_token"].(string))
	var claims map[string]any
	if err := json.Unmarshal([]byte(info.body), &claims); err != nil || info.StatusCode != http.StatusOK || claims["name"] != "Alice Liddell" {
		t.Fatalf("userinfo: %s %s", info.Status, info.body)
	}
	if n := s.grants.creates.Load(); n != 1 || s.grants.revokes.Load() != 0 {
		t.Errorf("the flow cost %d creates and %d revocations", n, s.grants.revokes.Load())
	}
}

func TestDenyingComesBackWithAccessDenied(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	login := s.read(b.Get(s.issuer.URL + "/authorize?" + request().Encode()))
	consent := s.submit(b, login, "username", registrytest.Alice, "password", registrytest.AlicePassword)
	back := s.callback(s.submit(b, consent, "decision", "deny"))
	if back.Get("error") != "access_denied" || back.Get("state") != state || back.Get("iss") != s.issuer.URL || back.Has("code") {
		t.Errorf("called back with %v", back)
	}
}

func TestSignInIsRemembered(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	login := s.read(b.Get(s.issuer.URL + "/authorize?" + request().Encode()))
	consent := s.submit(b, login, "username", registrytest.Alice, "password", registrytest.AlicePassword)
	s.submit(b, consent, "decision", "allow")
	again := s.read(b.Get(s.issuer.URL + "/authorize?" + request().Encode()))
	if !strings.Contains(again.body, `id="allow"`) {
		t.Errorf("not the consent page: %s\n%s", again.Status, again.body)
	}
}

func TestCodeReplayThreeTimesInSequence(t *testing.T) {
	s := newSite(t)
	code := s.authorize(s.issuer.URL, request()).Get("code")
	status, tokens := s.redeem(s.issuer.URL, code)
	if status != http.StatusOK {
		t.Fatal(tokens)
	}
	for range 2 {
		if status, body := s.redeem(s.issuer.URL, code); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
			t.Errorf("replay: %d %v", status, body)
		}
	}
	if p := s.userinfo(s.issuer.URL, tokens["access_token"].(string)); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("what the code produced is still good: %s", p.Status)
	}
}

func TestCodeReplayHundredAtOnceAcrossReplicas(t *testing.T) {
	s := newSite(t)
	second := httptest.NewTLSServer(s.replica())
	defer second.Close()
	code := s.authorize(s.issuer.URL, request()).Get("code")
	var (
		wg        sync.WaitGroup
		mu        sync.Mutex
		succeeded int
	)
	for i := range 100 {
		base := s.https.URL
		if i%2 == 1 {
			base = second.URL
		}
		wg.Go(func() {
			status, body := s.redeem(base, code)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case status == http.StatusOK:
				succeeded++
			case status != http.StatusBadRequest || body["error"] != "invalid_grant":
				t.Errorf("%d %v", status, body)
			}
		})
	}
	wg.Wait()
	if succeeded != 1 {
		t.Errorf("%d of 100 succeeded", succeeded)
	}
}

func TestAnonymousFloodWritesNothing(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for range 20 {
		s.read(b.Get(s.issuer.URL + "/authorize?" + request().Encode()))
		s.redeem(s.issuer.URL, "forged")
	}
	if n := s.grants.creates.Load() + s.grants.revokes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestSecretsInLogsNever(t *testing.T) {
	s := newSite(t)
	code := s.authorize(s.issuer.URL, request()).Get("code")
	_, tokens := s.redeem(s.issuer.URL, code)
	s.redeem(s.issuer.URL, code)
	b := s.browser()
	login := s.read(b.Get(s.issuer.URL + "/authorize?" + request().Encode()))
	s.submit(b, login, "username", registrytest.Alice, "password", "wrong-"+registrytest.AlicePassword)
	log := s.log.String()
	for name, secret := range map[string]string{
		"code": code, "access token": tokens["access_token"].(string), "ID token": tokens["id_token"].(string),
		"client secret": registrytest.PrintShopSecret, "password": registrytest.AlicePassword, "verifier": verifier,
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds the %s", name)
		}
	}
	for _, event := range []string{"sign_in", "consent", "token_issued", "token_refused"} {
		if !strings.Contains(log, `"event":"`+event+`"`) {
			t.Errorf("no audit event %s", event)
		}
	}
}
