package faults

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/test/apiproxy"
)

// held is a finalizer that nobody takes away.
const held = "example.com/held"

// besideName is the Secret that holds what another holds while that is made anew.
const besideName = secretName + "-latchkey-aside"

// trap is an object that is made to do harm.
type trap struct {
	// set makes it, before the client is declared.
	set func(n *team)
	// reason is what SecretReady gives for being False; empty where all is well in spite of it. message is in it.
	reason, message string
	// spring, if there is one, sets the trap when the client is ready.
	spring func(n *team)
	// cure takes it away; nil where nothing is to be cured.
	cure func(n *team)
}

// ours are labels by which a Secret seems to be the client's.
func ours(n *team) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: secretName,
		Labels: map[string]string{"app.kubernetes.io/managed-by": "latchkey", "oauth.latchkey.io/client": appName}}}
}

func (n *team) make(o client.Object) {
	n.t.Helper()
	must(n.t, api.Create(n.t.Context(), o))
}

func (n *team) delete(o client.Object) {
	n.t.Helper()
	must(n.t, client.IgnoreNotFound(api.Delete(n.t.Context(), o)))
}

// release takes the finalizers of a Secret away.
func (n *team) release(name string) {
	n.t.Helper()
	edit(n.t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: name}}, func(s *corev1.Secret) { s.Finalizers = nil })
}

func quota(n *team) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "few"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceSecrets: resource.MustParse("0")}}}
}

func traps() map[string]trap {
	return map[string]trap{
		"a Secret of somebody else": {
			set:    func(n *team) { s := ours(n); s.Labels = nil; n.make(s) },
			reason: v1alpha1.ReasonSecretConflict, message: "Delete it",
			cure: func(n *team) { n.delete(ours(n)) },
		},
		"the Secret of another client": {
			set: func(n *team) {
				other := n.declare(func(c *v1alpha1.OAuthClient) { c.Name = "other" })
				ready(n.t, other)
			},
			reason: v1alpha1.ReasonSecretConflict, message: "Delete it",
			cure: func(n *team) {
				n.delete(n.client(func(c *v1alpha1.OAuthClient) { c.Name = "other" }))
				n.delete(ours(n))
			},
		},
		"a Secret of another type": {
			set: func(n *team) { s := ours(n); s.Type = corev1.SecretTypeOpaque; n.make(s) },
		},
		"a Secret of another type that can't be deleted": {
			set: func(n *team) {
				s := ours(n)
				s.Type, s.Finalizers = corev1.SecretTypeOpaque, []string{held}
				n.make(s)
			},
			reason: v1alpha1.ReasonSecretInvalid, message: held,
			cure: func(n *team) { n.release(secretName) },
		},
		"a Secret of another type, and no room beside it": {
			set: func(n *team) {
				s := ours(n)
				s.Type, s.Finalizers = corev1.SecretTypeOpaque, []string{held}
				n.make(s)
				beside := ours(n)
				beside.Name, beside.Finalizers = besideName, []string{held}
				n.make(beside)
				n.delete(beside)
			},
			reason: v1alpha1.ReasonReconcileFailed, message: besideName,
			cure: func(n *team) {
				n.release(besideName)
				n.release(secretName)
			},
		},
		"a Secret that is being deleted for ever": {
			set: func(n *team) {
				s := ours(n)
				s.Type, s.Finalizers = "servicebinding.io/oauth2", []string{held}
				n.make(s)
				n.delete(s)
			},
			message: held, // Ready, for what it holds is good
			cure:    func(n *team) { n.release(secretName) },
		},
		"a former Secret that can't be deleted": {
			set: func(*team) {},
			spring: func(n *team) {
				edit(n.t, ours(n), func(s *corev1.Secret) { s.Finalizers = []string{held} })
				edit(n.t, n.client(), func(c *v1alpha1.OAuthClient) { c.Spec.Authentication.ClientSecret.SecretName = "renamed" })
			},
			cure: func(n *team) {
				n.release(secretName)
				edit(n.t, n.client(), func(c *v1alpha1.OAuthClient) { c.Spec.Authentication.ClientSecret.SecretName = secretName })
			},
		},
		"an immutable Secret": {
			set: func(n *team) {
				s, yes := ours(n), true
				s.Type, s.Immutable = "servicebinding.io/oauth2", &yes
				n.make(s)
			},
			reason: v1alpha1.ReasonSecretInvalid, message: "immutable",
			cure: func(n *team) { n.delete(ours(n)) },
		},
		"a Secret that is full": {
			set: func(n *team) {
				s := ours(n)
				s.Type, s.Data = "servicebinding.io/oauth2", map[string][]byte{"stuff": make([]byte, corev1.MaxSecretSize)}
				n.make(s)
			},
			reason: v1alpha1.ReasonSecretInvalid, message: "Too long",
			cure: func(n *team) { n.delete(ours(n)) },
		},
		"no room for one more Secret": {
			set: func(n *team) {
				q := quota(n)
				n.make(q)
				eventually(n.t, "the quota is in force", func(ctx context.Context) (bool, error) {
					err := api.Get(ctx, client.ObjectKeyFromObject(q), q)
					return len(q.Status.Used) > 0, err
				})
			},
			reason: v1alpha1.ReasonReconcileFailed, message: "exceeded quota",
			cure: func(n *team) { n.delete(quota(n)) },
		},
	}
}

// quiet is how long requests are counted, and few how many there may be in that time for a client that can't be helped.
const (
	quiet = 2 * time.Second
	few   = 40
)

// A tenant's objects that are made to break the controller: the condition says what is the matter, the controller does not run
// hot, and the client is well as soon as the trap is gone. Meanwhile others are served.
func TestTrapsOfTenants(t *testing.T) {
	t.Parallel()
	c := shared(t)
	for name, trap := range traps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newTeam(t)
			trap.set(n)
			app := n.declare()
			if trap.spring != nil {
				ready(t, app)
				trap.spring(n)
			}
			reason, verdict := trap.reason, metav1.ConditionFalse
			if reason == "" {
				reason, verdict = v1alpha1.ReasonSecretReady, metav1.ConditionTrue
			}
			if now := becomes(t, app, v1alpha1.ConditionSecretReady, verdict, reason); !strings.Contains(now.Message, trap.message) {
				t.Errorf("message: %s", now.Message)
			}
			c.staysQuiet(t, n)
			if trap.cure != nil {
				trap.cure(n)
				ready(t, app)
			}
			n.honoured()
			c.staysQuiet(t, n)
			others := newTeam(t)
			ready(t, others.declare())
		})
	}
}

// A client_id is <namespace>.<name>, and names may have dots: it is one client's alone because namespaces may not.
func TestClientIDsOfTwoNamespacesDiffer(t *testing.T) {
	t.Parallel()
	shared(t)
	n := newTeam(t)
	app := n.declare(func(c *v1alpha1.OAuthClient) { c.Name = "web.app" })
	ready(t, app)
	if want := n.namespace + ".web.app"; app.Status.ClientID != want {
		t.Errorf("client_id %s, want %s", app.Status.ClientID, want)
	}
	err := api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n.namespace + ".web"}})
	if !apierrors.IsInvalid(err) {
		t.Errorf("a namespace with a dot in its name: %v", err)
	}
}

// A failure that is worded differently each time leaves its words in status each time, which must not count as a reason to try again.
func TestFailuresInManyWords(t *testing.T) {
	t.Parallel()
	c := shared(t)
	n := newTeam(t)
	var attempts atomic.Int64
	fault := c.Inject(apiproxy.To("create", "secrets").In(n.namespace), -1, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		apiproxy.Refuse(http.StatusInternalServerError, metav1.StatusReasonInternalError, fmt.Sprint("failure number ", attempts.Add(1)), 0)(w, r, forward)
	})
	app := n.declare()
	now := becomes(t, app, v1alpha1.ConditionSecretReady, metav1.ConditionFalse, v1alpha1.ReasonReconcileFailed)
	if !strings.Contains(now.Message, "failure number") {
		t.Errorf("message: %s", now.Message)
	}
	c.staysQuiet(t, n)
	fault.Remove()
	ready(t, app)
	n.honoured()
}

// staysQuiet counts the controller's requests in the team's namespace for a while.
func (c *controller) staysQuiet(t *testing.T, n *team) {
	t.Helper()
	calls := apiproxy.Match(apiproxy.Calls).In(n.namespace)
	before := len(c.Requests(calls))
	deadline := time.NewTimer(quiet)
	defer deadline.Stop()
	select {
	case <-deadline.C:
	case <-t.Context().Done():
	}
	if all := c.Requests(calls); len(all)-before > few {
		t.Errorf("%d requests in %v, the last of them %v", len(all)-before, quiet, all[len(all)-5:])
	}
}

// A namespace that is being deleted and never gone: nothing can be made in it, and nothing is tried again and again.
func TestNamespaceThatIsNeverGone(t *testing.T) {
	t.Parallel()
	c := shared(t)
	n := newTeam(t)
	holder := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "holder", Finalizers: []string{held}}}
	n.make(holder)
	app := n.client(func(c *v1alpha1.OAuthClient) { c.Finalizers = []string{held} })
	n.make(app)
	ready(t, app)
	n.delete(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n.namespace}})
	eventually(t, "the Secret is gone", func(ctx context.Context) (bool, error) {
		_, err := n.secret(ctx)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	c.staysQuiet(t, n)
	edit(t, holder, func(o *corev1.ConfigMap) { o.Finalizers = nil })
	edit(t, app, func(o *v1alpha1.OAuthClient) { o.Finalizers = nil })
}
