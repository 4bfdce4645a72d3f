package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/review"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// introspect asks a replica about a token, as the client that Photos declares.
func (s *site) introspect(replica string, raw any) map[string]any {
	s.t.Helper()
	iss := s.Issuer("")
	photos, _ := iss.Resources.Get(registrytest.Photos)
	declared := *photos
	declared.Introspectors = []string{registrytest.Nightly}
	s.Publish(registrytest.WithResource(iss, &declared))
	r := s.newRequest(http.MethodPost, replica+"/introspect", strings.NewReader(url.Values{"token": {raw.(string)}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(registrytest.Nightly, registrytest.NightlySecret)
	p := s.send(r)
	var out map[string]any
	if err := json.Unmarshal([]byte(p.body), &out); err != nil || p.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %v in %q", p.Status, err, p.body)
	}
	return out
}

// review asks about a token as kube-apiserver does.
func (s *site) review(raw any) bool {
	s.t.Helper()
	return s.reviewAt(raw, registrytest.Photos).Authenticated
}

// reviewed is what these tests look at in a TokenReview's status.
type reviewed struct {
	Authenticated bool
	User          struct {
		Username string
		Extra    map[string][]string
	}
}

func (s *site) reviewAt(raw any, audience string) reviewed {
	s.t.Helper()
	h := &review.Handler{Holder: s.Holder, Verifier: &token.Verifier{Grants: s.Grants, SignOuts: s.SignOuts, Now: s.Clock.Now, Seen: token.NewSeen()}, Logger: slog.New(slog.NewTextHandler(s.Log, nil))}
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"token": raw, "audiences": []string{audience}}})
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer struct{ Status reviewed }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		s.t.Fatalf("HTTP %d: %v in %s", w.Code, err, w.Body)
	}
	return answer.Status
}

// revoke hands a token back as the print shop.
func (s *site) revoke(raw any) {
	s.t.Helper()
	r := s.newRequest(http.MethodPost, s.URL+"/revoke", strings.NewReader(url.Values{"token": {raw.(string)}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
	if p := s.send(r); p.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s", p.Status, p.body)
	}
}

// wantGoodEverywhere asks everywhere whether what was issued is good, or none of it.
func (s *site) wantGoodEverywhere(tokens map[string]any, want bool) {
	s.t.Helper()
	for name, got := range map[string]bool{
		"userinfo":                         s.userinfo(s.URL, tokens["access_token"]).StatusCode == http.StatusOK,
		"TokenReview":                      s.review(tokens["access_token"]),
		"introspection":                    s.introspect(s.URL, tokens["access_token"])["active"] == true,
		"introspection at another replica": s.introspect(s.Replica().URL, tokens["access_token"])["active"] == true,
	} {
		if got != want {
			s.t.Errorf("%s says %t, want %t", name, got, want)
		}
	}
}

// Whatever ends a grant ends all that was issued under it, wherever it is shown.
func TestNothingOfARevokedGrantIsGood(t *testing.T) {
	for name, end := range map[string]func(s *site, tokens map[string]any){
		"the client gives its access token back":  func(s *site, tokens map[string]any) { s.revoke(tokens["access_token"]) },
		"the client gives its refresh token back": func(s *site, tokens map[string]any) { s.revoke(tokens["refresh_token"]) },
		"the client gives a later token back": func(s *site, tokens map[string]any) {
			_, next := s.refresh(s.URL, tokens["refresh_token"])
			s.revoke(next["access_token"])
		},
		"a refresh token is reused": func(s *site, tokens map[string]any) {
			s.refresh(s.URL, tokens["refresh_token"])
			s.Clock.Advance(time.Minute)
			s.refresh(s.URL, tokens["refresh_token"])
		},
		"the user signs out": func(s *site, tokens map[string]any) {
			if err := s.Grants.Revoke(t.Context(), s.grant(tokens["refresh_token"]).ID, store.ReasonSignedOut, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
		},
		"the grant is deleted": func(s *site, tokens map[string]any) {
			if err := s.Grants.Delete(t.Context(), s.grant(tokens["refresh_token"]).ID); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			tokens := s.offline("")
			s.wantGoodEverywhere(tokens, true)
			end(s, tokens)
			s.wantGoodEverywhere(tokens, false)
			if status, body := s.refresh(s.URL, tokens["refresh_token"]); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
				t.Errorf("refresh: %d %v", status, body)
			}
		})
	}
}

// A token that was refreshed is good, and so is the one before it until it expires.
func TestIntrospectionOfRefreshedTokens(t *testing.T) {
	s := newSite(t)
	first := s.offline("")
	s.Clock.Advance(5 * time.Minute)
	status, second := s.refresh(s.URL, first["refresh_token"])
	if status != http.StatusOK {
		t.Fatal(second)
	}
	s.wantGoodEverywhere(first, true)
	s.wantGoodEverywhere(second, true)
	s.Clock.Advance(6 * time.Minute)
	s.wantGoodEverywhere(first, false)
	s.wantGoodEverywhere(second, true)
	if got := s.introspect(s.URL, second["refresh_token"]); got["active"] != false {
		t.Errorf("a refresh token: %v", got)
	}
	if got := s.introspect(s.URL, second["access_token"]); got["scope"] != "openid offline_access photos.read photos.write" {
		t.Errorf("got %v", got)
	}
}
