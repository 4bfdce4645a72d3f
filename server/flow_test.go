package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

func TestCodeFlowCostsOneWrite(t *testing.T) {
	s := newSite(t)
	back := s.authorize("")
	if back.Get("state") == "" || back.Get("iss") != s.URL || back.Get("error") != "" {
		t.Fatalf("called back with %v", back)
	}
	if n := s.Writes.Load(); n != 0 {
		t.Errorf("%d writes before the code was redeemed", n)
	}
	status, tokens := s.redeem(s.URL, back.Get("code"))
	if status != http.StatusOK || tokens["token_type"] != "Bearer" || tokens["id_token"] == nil {
		t.Fatalf("%d %v", status, tokens)
	}
	info := s.userinfo(s.URL, tokens["access_token"])
	var claims map[string]any
	if err := json.Unmarshal([]byte(info.body), &claims); err != nil || info.StatusCode != http.StatusOK || claims["sub"] == "" {
		t.Fatalf("userinfo: %s %s", info.Status, info.body)
	}
	if n := s.Writes.Load(); n != 1 {
		t.Errorf("the flow cost %d writes", n)
	}
}

func TestCodeReplayThreeTimesInSequence(t *testing.T) {
	s := newSite(t)
	code := s.authorize("").Get("code")
	status, tokens := s.redeem(s.URL, code)
	if status != http.StatusOK {
		t.Fatal(tokens)
	}
	for range 2 {
		if status, body := s.redeem(s.URL, code); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
			t.Errorf("replay: %d %v", status, body)
		}
	}
	if p := s.userinfo(s.URL, tokens["access_token"]); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("what the code produced is still good: %s", p.Status)
	}
}

func TestCodeReplayHundredAtOnceAcrossReplicas(t *testing.T) {
	s := newSite(t)
	replicas := []string{s.URL, s.Replica().URL}
	code := s.authorize("").Get("code")
	var (
		wg        sync.WaitGroup
		succeeded atomic.Int64
	)
	for i := range 100 {
		wg.Go(func() {
			status, body := s.redeem(replicas[i%2], code)
			switch {
			case status == http.StatusOK:
				succeeded.Add(1)
			case status != http.StatusBadRequest || body["error"] != "invalid_grant":
				t.Errorf("%d %v", status, body)
			}
		})
	}
	wg.Wait()
	if n := succeeded.Load(); n != 1 {
		t.Errorf("%d of 100 succeeded", n)
	}
}

func TestAnonymousFloodWritesNothing(t *testing.T) {
	s := newSite(t)
	b := s.NewBrowser()
	for range 20 {
		b.Authorize("", request())
		s.redeem(s.URL, "forged")
	}
	if n := s.Writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestSecretsInLogsNever(t *testing.T) {
	s := newSite(t)
	code := s.authorize("").Get("code")
	_, tokens := s.redeem(s.URL, code)
	s.redeem(s.URL, code)
	b := s.NewBrowser()
	b.SignIn(b.Authorize("", request()), registrytest.Alice, "wrong-"+registrytest.AlicePassword)
	log := s.Log.String()
	for name, secret := range map[string]any{
		"code": code, "access token": tokens["access_token"], "ID token": tokens["id_token"],
		"client secret": registrytest.PrintShopSecret, "password": registrytest.AlicePassword, "verifier": servertest.Verifier,
	} {
		if strings.Contains(log, secret.(string)) {
			t.Errorf("the log holds the %s", name)
		}
	}
	for _, event := range []string{"sign_in", "consent", "code_issued", "token_issued", "token_refused", "grant_revoked"} {
		if !strings.Contains(log, `"event":"`+event+`"`) {
			t.Errorf("no audit event %s", event)
		}
	}
}
