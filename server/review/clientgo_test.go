package review_test

import (
	"encoding/pem"
	"net/http/httptest"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authenticationv1beta1 "k8s.io/api/authentication/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgo "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// Services review tokens with the client library that they have for kube-apiserver, which speaks protobuf unless it is told otherwise.
func TestServicesReviewWithClientGo(t *testing.T) {
	f, _ := newCallerFixture(t)
	account := cluster.Account(t)
	cluster.Allow(t, account, "review", "photos")
	listener := httptest.NewTLSServer(f.handler)
	t.Cleanup(listener.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: listener.Certificate().Raw})
	raw := f.sign(t, f.access(registrytest.Photos))
	for name, contentType := range map[string]string{"as it is": "", "JSON": "application/json", "protobuf": "application/vnd.kubernetes.protobuf"} {
		t.Run(name, func(t *testing.T) {
			client, err := clientgo.NewForConfig(&rest.Config{
				Host: listener.URL, BearerToken: cluster.Token(t, account, f.iss.URL),
				TLSClientConfig: rest.TLSClientConfig{CAData: ca}, ContentConfig: rest.ContentConfig{ContentType: contentType},
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := client.AuthenticationV1().TokenReviews().Create(t.Context(), newReview(raw, []string{registrytest.Photos}), metav1.CreateOptions{})
			if err != nil || !got.Status.Authenticated || got.Status.User.Username != "oauth:alice" || len(got.Status.Audiences) != 1 {
				t.Errorf("v1: %v, %+v", err, got)
			}
			beta := &authenticationv1beta1.TokenReview{Spec: authenticationv1beta1.TokenReviewSpec{Token: raw, Audiences: []string{registrytest.Photos}}}
			if got, err := client.AuthenticationV1beta1().TokenReviews().Create(t.Context(), beta, metav1.CreateOptions{}); err != nil || !got.Status.Authenticated || got.Status.User.Username != "oauth:alice" {
				t.Errorf("v1beta1: %v, %+v", err, got)
			}
			foreign := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: f.foreign(t), Audiences: []string{registrytest.Photos}}}
			if got, err := client.AuthenticationV1().TokenReviews().Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil || got.Status.Authenticated {
				t.Errorf("a foreign token: %v, %+v", err, got)
			}
		})
	}
}
