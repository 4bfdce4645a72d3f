package ceiling

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func newCeiling(t *testing.T) (*Ceiling, *ecdsa.PrivateKey, Sizes) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sizes := Sizes{AccessToken: 700, Token: 800, Introspection: 300, Review: 400}
	c, err := New(&Config{Sizes: sizes, PublicKey: public})
	if err != nil {
		t.Fatal(err)
	}
	return c, key, sizes
}

func signed(t *testing.T, key *ecdsa.PrivateKey, lifetime time.Duration) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"exp": time.Now().Add(lifetime).Unix()}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func ask(c *Ceiling, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.SetBasicAuth("client", "secret")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

const formType = "application/x-www-form-urlencoded"

// What the ceiling answers is as long as what Latchkey does.
func TestAnswersAreOfTheSameLength(t *testing.T) {
	c, key, sizes := newCeiling(t)
	token := signed(t, key, time.Minute)
	review, err := json.Marshal(map[string]any{"spec": map[string]any{"token": token}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path, contentType, body, something string
		length                             int
	}{
		{"/token", formType, "grant_type=client_credentials", `"access_token":"`, sizes.Token},
		{"/introspect", formType, url.Values{"token": {token}}.Encode(), `"active":true`, sizes.Introspection},
		{"/apis/authentication.k8s.io/v1/tokenreviews", "application/json", string(review), `"authenticated":true`, sizes.Review},
		{StaticPath, formType, "a=b", "", StaticLength},
		{SignPath, formType, "", "", StaticLength},
	} {
		w := ask(c, test.path, test.contentType, test.body)
		if off := test.length - w.Body.Len(); w.Code != http.StatusOK || off < 0 || off > 3 || !strings.Contains(w.Body.String(), test.something) {
			t.Errorf("%s: %d, %d characters, want %d: %s", test.path, w.Code, w.Body.Len(), test.length, w.Body)
		}
	}
}

// A ceiling that took any token would be no ceiling: it verifies each time.
func TestTheCeilingVerifies(t *testing.T) {
	c, key, _ := newCeiling(t)
	_, other, _ := newCeiling(t)
	for name, token := range map[string]string{
		"expired": signed(t, key, -time.Minute), "of another key": signed(t, other, time.Minute), "no JWT": "x", "unsigned": "e30.e30.",
	} {
		if w := ask(c, "/introspect", formType, url.Values{"token": {token}}.Encode()); w.Code == http.StatusOK {
			t.Errorf("a token that is %s was taken", name)
		}
	}
	if w := ask(c, "/elsewhere", formType, ""); w.Code == http.StatusOK {
		t.Error("there is something everywhere")
	}
}
