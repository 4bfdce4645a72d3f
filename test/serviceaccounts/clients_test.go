package serviceaccounts

import (
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// One token serves for as long as it lives, at every endpoint and however often, and costs one question.
func TestServiceAccountIsTheClientEverywhere(t *testing.T) {
	s := newSite(t, cluster)
	raw := s.good(cluster)
	for range 3 {
		s.wantEverywhere("a good token", raw, http.StatusOK, "")
	}
	if n := s.wire.Requests("tokenreviews"); n != 1 {
		t.Errorf("kube-apiserver was asked %d times", n)
	}
	log := s.Log.String()
	for _, attribute := range []string{`"client_auth":"service_account"`, `"service_account":"` + s.account + `"`, `"client_id":"` + registrytest.PrintShop + `"`} {
		if !strings.Contains(log, attribute) {
			t.Errorf("the audit does not say %s", attribute)
		}
	}
	if strings.Contains(log, raw[strings.LastIndexByte(raw, '.'):]) {
		t.Error("the log holds the token")
	}
}

func TestCodeAndRefreshOfAServiceAccount(t *testing.T) {
	s := newSite(t, cluster)
	raw, _ := cluster.PodToken(t, s.account, s.URL)
	b := s.NewBrowser()
	params := servertest.Params()
	params.Set("scope", "openid offline_access photos.read")
	params.Set("prompt", "consent")
	back := b.Decide(b.SignIn(b.Authorize("", params), registrytest.Alice, registrytest.AlicePassword), "allow").Response(t)
	redeem := []string{"grant_type", oauth.GrantAuthorizationCode, "code", back.Get("code"), "redirect_uri", registrytest.PrintShopRedirect, "code_verifier", servertest.Verifier}
	if got := s.present("/token", cluster.Token(t, cluster.Account(t), s.URL), redeem...); got.status != http.StatusUnauthorized {
		t.Errorf("another ServiceAccount redeems the code: %d %s", got.status, got.text)
	}
	got := s.present("/token", raw, redeem...)
	if got.status != http.StatusOK || got.string("refresh_token") == "" {
		t.Fatalf("the code: %d %s", got.status, got.text)
	}
	if got = s.present("/token", raw, "grant_type", oauth.GrantRefreshToken, "refresh_token", got.string("refresh_token")); got.status != http.StatusOK {
		t.Fatalf("the refresh token: %d %s", got.status, got.text)
	}
	last := got.string("refresh_token")
	if got = s.present("/revoke", raw, "token", last); got.status != http.StatusOK {
		t.Errorf("its revocation: %d %s", got.status, got.text)
	}
	if got = s.present("/token", raw, "grant_type", oauth.GrantRefreshToken, "refresh_token", last); got.status != http.StatusBadRequest || got.string("error") != "invalid_grant" {
		t.Errorf("a revoked refresh token: %d %s", got.status, got.text)
	}
}

func TestAnyOfTheServiceAccountsIsTheClient(t *testing.T) {
	canary := cluster.Account(t)
	s := newSite(t, cluster, canary)
	s.wantEverywhere("the one", s.good(cluster), http.StatusOK, "")
	s.wantEverywhere("the other", cluster.Token(t, canary, s.URL), http.StatusOK, "")
	s.declare(s.account)
	s.wantEverywhere("one that is named no more", cluster.Token(t, canary, s.URL), http.StatusUnauthorized, oauth.InvalidClient)
}
