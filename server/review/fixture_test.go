package review_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/review"
	"github.com/latchkey-io/latchkey/server/storage"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	issuerURL = "https://login.example.com"
	v1Path    = "/apis/authentication.k8s.io/v1/tokenreviews"
	betaPath  = "/apis/authentication.k8s.io/v1beta1/tokenreviews"
	// kubernetes is kube-apiserver's own audience.
	kubernetes = controlplane.Issuer
)

// fixture is a reviewer of one issuer, with a grant of Alice's to the print shop.
type fixture struct {
	now     time.Time
	iss     *registry.Issuer
	grants  *memory.Store
	grant   *store.Grant
	handler *review.Handler
	log     *bytes.Buffer
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{now: time.Now().Truncate(time.Second), log: &bytes.Buffer{}}
	f.iss = withKubernetes(t, registrytest.Issuer(t, issuerURL, f.now))
	f.grants = memory.New(f.clock)
	f.grant = &store.Grant{
		ID: token.NewID(), AuthorizationServer: f.iss.Name, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, ExpiresAt: f.now.Add(20 * time.Minute),
	}
	if err := f.grants.Create(t.Context(), f.grant, store.NoLimit); err != nil {
		t.Fatal(err)
	}
	f.handler = &review.Handler{
		Holder: &registry.Holder{},
		Logger: slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	places, err := storage.New(storage.Config{Grants: f.grants, Devices: memory.NewDevices(f.clock), Holder: f.handler.Holder, Logger: f.handler.Logger})
	if err != nil {
		t.Fatal(err)
	}
	f.handler.Verifier = &token.Verifier{Grants: places.Grants(), SignOuts: memory.NewSignOuts(f.clock), Now: f.clock, Seen: token.NewSeen()}
	f.publish(f.iss)
	return f
}

func (f *fixture) clock() time.Time { return f.now }

func (f *fixture) publish(issuers ...*registry.Issuer) {
	f.handler.Holder.Store(registry.NewSnapshot(issuers))
}

// withKubernetes lets the print shop ask for tokens for kube-apiserver.
func withKubernetes(t testing.TB, iss *registry.Issuer) *registry.Issuer {
	config := *iss.Config
	config.KubernetesAudiences = []string{kubernetes}
	next := *iss
	next.Config = &config
	client := registrytest.Client(t, iss, registrytest.PrintShop)
	client.Access = append(client.Access[:len(client.Access):len(client.Access)], registry.Access{
		Resource: &registry.Resource{Identifier: kubernetes, Kubernetes: true},
		Scopes:   []*registry.Scope{{Name: oauth.ScopeKubernetes}},
	})
	return registrytest.WithClient(&next, client)
}

// access is a good access token for the audiences.
func (f *fixture) access(audiences ...string) *token.Access {
	u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
	return &token.Access{
		Issuer: f.iss.URL, Subject: u.Subject, ClientID: registrytest.PrintShop, Audience: audiences,
		Scopes: []string{oauth.ScopeOpenID, registrytest.PhotosRead}, ID: token.NewID(), GrantID: f.grant.ID,
		ClientUID: registrytest.PrintShopUID, UserUID: registrytest.AliceUID,
		IssuedAt: f.now, ExpiresAt: f.now.Add(10 * time.Minute), AuthTime: f.now.Add(-time.Minute),
	}
}

func (f *fixture) sign(t testing.TB, a *token.Access) string {
	t.Helper()
	raw, err := a.Sign(f.iss.Keys, keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// fromAPIServer makes a request look as it does when kube-apiserver's client certificate has been verified.
func fromAPIServer(r *http.Request) {
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
}

// ask posts a TokenReview as kube-apiserver does, and returns the answer with its HTTP status.
func (f *fixture) ask(t testing.TB, raw string, audiences ...string) (authenticationv1.TokenReviewStatus, int) {
	t.Helper()
	body, err := json.Marshal(newReview(raw, audiences))
	if err != nil {
		t.Fatal(err)
	}
	w := f.post(v1Path, body, fromAPIServer)
	if w.Code != http.StatusOK {
		return authenticationv1.TokenReviewStatus{}, w.Code
	}
	var answer authenticationv1.TokenReview
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	if answer.Kind != "TokenReview" || answer.APIVersion != "authentication.k8s.io/v1" {
		t.Errorf("answered a %s of %s", answer.Kind, answer.APIVersion)
	}
	return answer.Status, w.Code
}

func newReview(raw string, audiences []string) *authenticationv1.TokenReview {
	r := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: raw, Audiences: audiences}}
	r.APIVersion, r.Kind = "authentication.k8s.io/v1", "TokenReview"
	return r
}

func (f *fixture) post(path string, body []byte, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

// unreadable is a store whose backend is away.
type unreadable struct{ store.Grants }

func (unreadable) Get(context.Context, string) (*store.Grant, error) {
	return nil, errors.New("connection refused")
}

func wantNo(t *testing.T, got authenticationv1.TokenReviewStatus, code int) {
	t.Helper()
	if code != http.StatusOK || got.Authenticated || got.Error != "" || got.User.Username != "" || len(got.Audiences) > 0 {
		t.Errorf("got HTTP %d and %+v, want a clean no", code, got)
	}
}
