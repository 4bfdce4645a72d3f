package review_test

import (
	"encoding/json"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// newWebhookFixture is a reviewer that kube-apiserver asks.
func newWebhookFixture(t *testing.T) *fixture {
	f, _ := newCallerFixture(t)
	webhook.current.Store(f.handler)
	t.Cleanup(func() { webhook.current.Store(nil) })
	return f
}

func TestKubectlWithAnAccessToken(t *testing.T) {
	f := newWebhookFixture(t)
	access := f.access(kubernetes)
	out, err := kubectlWith(t, f.sign(t, access), "auth", "whoami", "--output=json")
	if err != nil {
		t.Fatal(err)
	}
	var self authenticationv1.SelfSubjectReview
	if err := json.Unmarshal([]byte(out), &self); err != nil {
		t.Fatal(err)
	}
	user := self.Status.UserInfo
	if user.Username != "oauth:alice" || user.UID != registrytest.AliceUID || len(user.Groups) != 2 || user.Groups[0] != "oauth:family" || user.Groups[1] != "system:authenticated" {
		t.Errorf("kubectl is %+v", user)
	}
	if got := user.Extra[oauth.ExtraCredentialID]; len(got) != 1 || got[0] != "JTI="+access.ID {
		t.Errorf("extra is %v", user.Extra)
	}
}

// security.md: audience omitted in the reply: kube-apiserver would take any resource's token for its own.
func TestAResourcesTokenIsNoClusterCredential(t *testing.T) {
	f := newWebhookFixture(t)
	for name, audiences := range map[string][]string{
		"for photos": {registrytest.Photos}, "for photos and userinfo": {registrytest.Photos, f.iss.URL}, "for userinfo": {f.iss.URL},
	} {
		if out, err := kubectlWith(t, f.sign(t, f.access(audiences...)), "auth", "whoami"); err == nil {
			t.Errorf("a token %s: kubectl is %s", name, out)
		}
	}
}

// A TokenReview on kube-apiserver itself reaches the webhook with the audiences of its caller.
func TestTokenReviewThroughAPIServer(t *testing.T) {
	f := newWebhookFixture(t)
	reviews := clientset(t, cluster, "").AuthenticationV1().TokenReviews()
	for name, test := range map[string]struct {
		token, asked []string
		want         bool
	}{
		"its own audience":        {[]string{registrytest.Photos}, []string{registrytest.Photos}, true},
		"another's":               {[]string{registrytest.Photos}, []string{registrytest.Orders}, false},
		"none, which is its own":  {[]string{registrytest.Photos}, nil, false},
		"none, with one for that": {[]string{kubernetes}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			asked := newReview(f.sign(t, f.access(test.token...)), test.asked)
			got, err := reviews.Create(t.Context(), asked, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Status.Authenticated != test.want || test.want && len(got.Status.Audiences) == 0 {
				t.Errorf("got %+v", got.Status)
			}
		})
	}
}

// A caller whose token is ours must not come back to us by way of kube-apiserver, nor be anybody there.
func TestOurOwnTokenIsNoCallerThroughAPIServer(t *testing.T) {
	f := newWebhookFixture(t)
	raw := f.sign(t, f.access(kubernetes))
	_, answer := f.askAs(t, raw, raw, registrytest.Photos)
	if answer.Code != 401 {
		t.Errorf("HTTP %d", answer.Code)
	}
}

// While the answer is not known, kube-apiserver must neither let the token in nor remember a no.
func TestAnUnreadableStoreIsNotRememberedAsANo(t *testing.T) {
	f := newWebhookFixture(t)
	raw := f.sign(t, f.access(registrytest.Photos))
	reviews := clientset(t, cluster, "").AuthenticationV1().TokenReviews()
	grants := f.handler.Verifier.Grants
	broken := *f.handler
	verifier := *f.handler.Verifier
	verifier.Grants = unreadable{grants}
	broken.Verifier = &verifier
	webhook.current.Store(&broken)
	got, err := reviews.Create(t.Context(), newReview(raw, []string{registrytest.Photos}), metav1.CreateOptions{})
	if err == nil && (got.Status.Authenticated || got.Status.Error == "") {
		t.Errorf("got %+v", got.Status)
	}
	webhook.current.Store(f.handler)
	got, err = reviews.Create(t.Context(), newReview(raw, []string{registrytest.Photos}), metav1.CreateOptions{})
	if err != nil || !got.Status.Authenticated {
		t.Errorf("once the store is back: %+v, %v", got, err)
	}
}
