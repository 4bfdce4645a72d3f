package interop

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // registers itself
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"
)

// saved is the part of a kubeconfig that the auth provider writes.
type saved map[string]string

// Persist implements rest.AuthProviderConfigPersister.
func (s saved) Persist(config map[string]string) error {
	for name, value := range config {
		s[name] = value
	}
	return nil
}

// TestKubernetesAuthProvider is the auth provider of client-go, which gets itself ID tokens with a refresh token.
func TestKubernetesAuthProvider(t *testing.T) {
	party := newRelyingParty(t, "web", oidc.ScopeOpenID, oidc.ScopeOfflineAccess)
	token, id := party.signIn()
	var shown string
	cluster := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		shown = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}))
	t.Cleanup(cluster.Close)
	kubeconfig := saved{}
	client, err := rest.HTTPClientFor(&rest.Config{
		Host: cluster.URL,
		AuthProvider: &api.AuthProviderConfig{Name: "oidc", Config: map[string]string{
			"idp-issuer-url": live.Issuer, "idp-certificate-authority": live.CA,
			"client-id": party.config.ClientID, "client-secret": party.config.ClientSecret, "refresh-token": token.RefreshToken,
		}},
		AuthConfigPersister: kubeconfig,
	})
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Get(cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	verified, err := party.provider.VerifierContext(party.ctx(), &oidc.Config{ClientID: party.config.ClientID}).Verify(party.ctx(), shown)
	if err != nil {
		t.Fatal(err)
	}
	if verified.Subject != id.Subject || kubeconfig["id-token"] != shown || kubeconfig["refresh-token"] == token.RefreshToken {
		t.Errorf("the cluster is shown a token of %q; %d values are saved", verified.Subject, len(kubeconfig))
	}
}
