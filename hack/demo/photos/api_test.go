package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
)

const identifier = "https://photos.demo.svc"

// reviews answers TokenReviews by the token's name.
func reviews(t *testing.T) http.Handler {
	user := func(scopes ...string) authenticationv1.UserInfo {
		return authenticationv1.UserInfo{Username: "oauth:alice", UID: "1", Extra: map[string]authenticationv1.ExtraValue{scopeKey: scopes}}
	}
	answers := map[string]authenticationv1.TokenReviewStatus{
		"reader":    {Authenticated: true, Audiences: []string{identifier}, User: user(scopeRead)},
		"writer":    {Authenticated: true, Audiences: []string{identifier}, User: user(scopeRead, scopeWrite)},
		"scopeless": {Authenticated: true, Audiences: []string{identifier}, User: user()},
		"foreign":   {Authenticated: true, Audiences: []string{"https://orders.shop.svc"}, User: user(scopeRead)},
		"omitted":   {Authenticated: true, User: user(scopeRead)},
		// What is behind the redirect would say yes.
		"redirected": {Authenticated: true, Audiences: []string{identifier}, User: user(scopeRead)},
		"unknown":    {Error: "the store can't be read"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authenticationv1.TokenReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || r.Header.Get("Authorization") != "Bearer the-service-account" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch review.Spec.Token {
		case "broken":
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case "redirected":
			if r.URL.Path != "/elsewhere" {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
				return
			}
		case "other-json":
			review.Kind = "Status"
		}
		review.Status = answers[review.Spec.Token]
		if err := json.NewEncoder(w).Encode(review); err != nil {
			t.Error(err)
		}
	})
}

func newTestAPI(t *testing.T) http.Handler {
	t.Helper()
	reviewer := httptest.NewServer(reviews(t))
	t.Cleanup(reviewer.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("the-service-account\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config{identifier: identifier, reviewURL: reviewer.URL, tokenFile: token}
	r, err := newReviewer(c)
	if err != nil {
		t.Fatal(err)
	}
	api, err := newAPI(c, r, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func TestAPIDeliversOrRefuses(t *testing.T) {
	api := newTestAPI(t)
	for name, c := range map[string]struct {
		method, path, authorization string
		status                      int
		challenge                   string
	}{
		"photos":                      {"GET", "/photos", "Bearer reader", 200, ""},
		"a picture":                   {"GET", "/photos/sea", "Bearer reader", 200, ""},
		"a scheme in lower case":      {"GET", "/photos", "bearer reader", 200, ""},
		"no such picture":             {"GET", "/photos/none", "Bearer reader", 404, ""},
		"no token":                    {"GET", "/photos", "", 401, "Bearer"},
		"not a bearer token":          {"GET", "/photos", "Basic cmVhZGVy", 401, "Bearer"},
		"a token that is not good":    {"GET", "/photos", "Bearer nobody", 401, `error="invalid_token"`},
		"a token for another API":     {"GET", "/photos", "Bearer foreign", 401, `error="invalid_token"`},
		"audience omitted":            {"GET", "/photos", "Bearer omitted", 401, `error="invalid_token"`},
		"too little scope":            {"GET", "/photos", "Bearer scopeless", 403, `error="insufficient_scope", scope="photos.read"`},
		"too little scope to order":   {"POST", "/photos/sea/prints", "Bearer reader", 403, `scope="photos.write"`},
		"an order":                    {"POST", "/photos/sea/prints", "Bearer writer", 201, ""},
		"a review that says an error": {"GET", "/photos", "Bearer unknown", 503, ""},
		"a reviewer that is away":     {"GET", "/photos", "Bearer broken", 503, ""},
		"a reviewer that is another":  {"GET", "/photos", "Bearer other-json", 503, ""},
		"a reviewer that redirects":   {"GET", "/photos", "Bearer redirected", 503, ""},
		"metadata":                    {"GET", "/.well-known/oauth-protected-resource", "", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			got := w.Header().Get("WWW-Authenticate")
			if w.Code != c.status || !strings.Contains(got, c.challenge) || (c.challenge == "") != (got == "") {
				t.Errorf("%d, challenge %q; want %d, %q", w.Code, got, c.status, c.challenge)
			}
			if c.challenge == "Bearer" && strings.Contains(got, "error") {
				t.Errorf("a request without a token is told of an error: %q", got)
			}
		})
	}
}
