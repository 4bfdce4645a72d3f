package discovery

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
)

// forKubernetes is an issuer of AuthorizationServer default-tenant, which has tokens for kube-apiserver.
func forKubernetes(t *testing.T) (*registry.Holder, *registry.Issuer) {
	t.Helper()
	iss := newIssuer(t)
	iss.KubernetesAudiences = []string{"https://kubernetes.default.svc"}
	holder := &registry.Holder{}
	holder.Store(registry.NewSnapshot([]*registry.Issuer{iss}))
	return holder, iss
}

func ask(h http.Handler, method, url string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, url, nil))
	return w
}

// kube-apiserver finds the keys where it found the metadata: it may reach no other address.
func TestForKubernetesIsFoundAtOneAddress(t *testing.T) {
	holder, iss := forKubernetes(t)
	h := NewForKubernetes(holder, slog.New(slog.DiscardHandler))
	w := ask(h, http.MethodGet, "https://10.96.0.20:9443/kubernetes/default-tenant/.well-known/openid-configuration")
	var got struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s, %v", w.Code, w.Header(), w.Body, err)
	}
	if got.Issuer != iss.URL || got.JWKSURI != "https://10.96.0.20:9443/kubernetes/default-tenant/jwks" {
		t.Errorf("%+v", got)
	}
	if w = ask(h, http.MethodGet, got.JWKSURI); w.Code != http.StatusOK || w.Body.String() != string(iss.Keys.JWKS()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestForKubernetesHasNothingElse(t *testing.T) {
	holder, iss := forKubernetes(t)
	h := NewForKubernetes(holder, slog.New(slog.DiscardHandler))
	const good = "/kubernetes/default-tenant/jwks"
	for url, want := range map[string]int{
		good: http.StatusOK, "/kubernetes/nobody/jwks": http.StatusNotFound, "/kubernetes/": http.StatusNotFound,
		"/kubernetes/default-tenant": http.StatusNotFound, "/kubernetes/default-tenant/token": http.StatusNotFound, "/kubernetes/default-tenant/.well-known/": http.StatusNotFound,
	} {
		if w := ask(h, http.MethodGet, url); w.Code != want {
			t.Errorf("%s: %d", url, w.Code)
		}
	}
	if w := ask(h, http.MethodPost, good); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	withoutKeys := *iss
	withoutKeys.Keys = nil
	holder.Store(registry.NewSnapshot([]*registry.Issuer{&withoutKeys}))
	if w := ask(h, http.MethodGet, good); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without keys: %d", w.Code)
	}
	if w := ask(NewForKubernetes(&registry.Holder{}, slog.New(slog.DiscardHandler)), http.MethodGet, good); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a view of the cluster: %d", w.Code)
	}
	iss.KubernetesAudiences = nil
	holder.Store(registry.NewSnapshot([]*registry.Issuer{iss}))
	if w := ask(h, http.MethodGet, good); w.Code != http.StatusNotFound {
		t.Errorf("an issuer without tokens for kube-apiserver: %d", w.Code)
	}
}
