package review_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// FuzzTokenReview: no body makes the reviewer fail, or say yes.
func FuzzTokenReview(f *testing.F) {
	handler := newFixture(f).handler
	for _, body := range []string{
		`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"a.b.c","audiences":["https://photos.demo.svc"]}}`,
		`{"spec":{"token":"eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUifQ.","audiences":["https://photos.demo.svc"]}}`,
		`{"spec":{"token":"e30.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJleHAiOjFlOTk5fQ.AA"}}`, `{}`, `[]`, `null`, `{"spec":null}`, strings.Repeat("[", 20000),
	} {
		f.Add([]byte(body), false)
	}
	f.Add([]byte("k8s\x00\n'\n\x18authentication.k8s.io/v1\x12\vTokenReview\x12\a\x12\x05\n\x03a.b"), true)
	f.Fuzz(func(t *testing.T, body []byte, protobuf bool) {
		r := httptest.NewRequest(http.MethodPost, v1Path, strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		if protobuf {
			r.Header.Set("Content-Type", "application/vnd.kubernetes.protobuf")
		}
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var got authenticationv1.TokenReview
		if err := json.Unmarshal(w.Body.Bytes(), &got); w.Code >= http.StatusInternalServerError || w.Code == http.StatusOK && (err != nil || got.Status.Authenticated) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
