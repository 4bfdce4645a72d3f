package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAuthorizationResponseIsCheckedBeforeItIsUsed(t *testing.T) {
	p := &provider{Issuer: "https://login.example", IssInResponse: true}
	a := &attempt{provider: p, state: "s"}
	for name, c := range map[string]struct {
		query string
		a     *attempt
		want  string
	}{
		"good":                        {"code=c&state=s&iss=https://login.example", a, ""},
		"no sign-in was begun":        {"code=c&state=s&iss=https://login.example", nil, "invalid_state"},
		"another state":               {"code=c&state=x&iss=https://login.example", a, "invalid_state"},
		"no state":                    {"code=c&iss=https://login.example", a, "invalid_state"},
		"another issuer":              {"code=c&state=s&iss=https://evil.example", a, "invalid_issuer"},
		"no issuer":                   {"code=c&state=s", a, "invalid_issuer"},
		"denied":                      {"error=access_denied&state=s&iss=https://login.example", a, "access_denied"},
		"denied by somebody else":     {"error=access_denied&state=s&iss=https://evil.example", a, "invalid_issuer"},
		"another error":               {"error=invalid_scope&state=s&iss=https://login.example", a, "invalid_scope"},
		"neither a code nor an error": {"state=s&iss=https://login.example", a, "invalid_response"},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if refused := checkResponse(q, c.a); refused != nil {
			got = refused.Code
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestIssuerThatCallsItselfAnother(t *testing.T) {
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"issuer":"https://login.example"}`) // a recorder never fails
	}))
	defer liar.Close()
	if _, err := discover(t.Context(), liar.Client(), liar.URL); err == nil {
		t.Error("taken for good")
	}
}

func TestCredentialsFollowTheMountedSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(key, value string) {
		if err := os.WriteFile(filepath.Join(dir, key), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := mounted(dir)
	if _, err := read(t.Context()); err == nil {
		t.Error("an empty directory has credentials")
	}
	write("client-id", "demo.print-shop")
	write("issuer", "https://login.example")
	write("client-secret", "one\n")
	if c, err := read(t.Context()); err != nil || c.clientSecret != "one" {
		t.Errorf("%+v %v", c, err)
	}
	write("client-secret", "two")
	if c, err := read(t.Context()); err != nil || c.clientSecret != "two" {
		t.Errorf("after a rotation: %+v %v", c, err)
	}
}

func TestPagesForThoseWhoAreNotSignedIn(t *testing.T) {
	none := func(context.Context) (credentials, error) { return credentials{}, os.ErrNotExist }
	shop, err := newShop(config{publicURL: "http://localhost:1"}, none, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, site string
		status             int
		contains           string
	}{
		{"GET", "/", "", http.StatusOK, `id="print-photos"`},
		{"GET", "/photos", "", http.StatusSeeOther, ""},
		{"GET", "/photos/sea", "", http.StatusUnauthorized, ""},
		{"POST", "/logout", "cross-site", http.StatusForbidden, ""},
		{"POST", "/logout", "same-origin", http.StatusSeeOther, ""},
		{"GET", "/login", "", http.StatusBadGateway, `id="error-code"`},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := httptest.NewRecorder()
		shop.routes().ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) {
			t.Errorf("%s %s: %d\n%s", c.method, c.path, w.Code, w.Body)
		}
	}
}
