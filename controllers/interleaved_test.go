package controllers_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/oauthclient"
)

// before does something else once, between what a controller has read and the first request of the method about the Secret.
type before struct {
	http.RoundTripper
	method, path string
	do           func()
	done         *atomic.Bool
}

func (b before) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == b.method && strings.HasSuffix(r.URL.Path, b.path) && b.done.CompareAndSwap(false, true) {
		b.do()
	}
	return b.RoundTripper.RoundTrip(r)
}

// written has somebody write to the Secret just before the controller's first request of the method about it, and returns whether they did.
func (r *rotation) written(method string) *atomic.Bool {
	r.t.Helper()
	done, key := new(atomic.Bool), client.ObjectKey{Namespace: r.c.Namespace, Name: "oauth"}
	config := still.cp.RESTConfig()
	config.WrapTransport = transport.Wrappers(config.WrapTransport, func(next http.RoundTripper) http.RoundTripper {
		return before{next, method, "/namespaces/" + key.Namespace + "/secrets/" + key.Name, func() {
			secret := still.secret(r.t, key.Namespace, key.Name)
			secret.Data["theirs"] = []byte("of just now")
			if err := still.api.Update(r.t.Context(), secret); err != nil {
				r.t.Error(err)
			}
		}, done}
	})
	r.controllerAt(config)
	eventually(r.t, "it is ready", func() (bool, error) {
		err := still.api.Get(r.t.Context(), client.ObjectKeyFromObject(r.c), r.c)
		return says(r.c.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady), err
	})
	return done
}

// wantKept has the Secret written, waits for that, and looks whether what was written before that is still there.
func (r *rotation) wantKept(written *atomic.Bool) {
	r.t.Helper()
	change(r.t, still, r.c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Labels = map[string]v1alpha1.LabelValue{"team": "shop"}
	})
	eventually(r.t, "the Secret is as it was declared", func() (bool, error) { return r.secret().Labels["team"] == "shop", nil })
	if got := string(r.secret().Data["theirs"]); !written.Load() || got != "of just now" {
		r.t.Errorf("written meanwhile: %t, and now there is %q", written.Load(), got)
	}
}

// Somebody writes to the Secret after the controller has read it, and before it writes: what they wrote stays.
func TestWhatIsWrittenBeforeAnUpdateStays(t *testing.T) {
	r := newRotation(t, nil)
	r.wantKept(r.written(http.MethodPut))
}

// And before it deletes the Secret, which was restored with another type, to make it anew.
func TestWhatIsWrittenBeforeASecretIsMadeAnewStays(t *testing.T) {
	r := newRotation(t, nil)
	still.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.c.Namespace, Name: "oauth",
			Labels: map[string]string{"app.kubernetes.io/managed-by": "latchkey", oauthclient.LabelClient: r.c.Name}},
		Data: map[string][]byte{"client-secret": []byte(base64.RawURLEncoding.EncodeToString(make([]byte, 32)))},
	})
	r.wantKept(r.written(http.MethodDelete))
	if got := r.secret().Type; got != "servicebinding.io/oauth2" {
		t.Errorf("the type is %s", got)
	}
}
