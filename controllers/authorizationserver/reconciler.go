// Package authorizationserver keeps the keys of every AuthorizationServer and says in status how it stands.
package authorizationserver

import (
	"context"
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

// lookAgain bounds the time between two looks at the keys' times: a machine that slept, or whose clock was set, is late by no
// more than that, which publishing ahead covers.
const lookAgain = time.Hour

// Reconciler keeps the keys and the status of AuthorizationServers.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads past the cache: whether there are keys already must not be decided by an old view.
	Live client.Reader
	// Namespace is the operator's namespace, where keys are.
	Namespace string
	Events    events.EventRecorder
	Now       func() time.Time
	// CheckStorage says what is wrong with a place where grants are kept, by the data of its Secret.
	CheckStorage func(ctx context.Context, secret map[string][]byte) error
}

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.AuthorizationServer{}, builder.WithPredicates(status.NotFailingAgain())).
		Watches(&v1alpha1.AuthorizationServer{}, handler.EnqueueRequestsFromMapFunc(r.all), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(owner)).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.keptBy)).
		WithOptions(controller.Options{RateLimiter: status.Backoff()}).
		Complete(r)
}

// all AuthorizationServers are looked at when one comes, goes or changes: the others may conflict with it.
func (r *Reconciler) all(ctx context.Context, _ client.Object) []ctrl.Request {
	return status.Requests(ctx, r.Client, &v1alpha1.AuthorizationServerList{})
}

// owner is the AuthorizationServer whose keys a Secret holds.
func owner(_ context.Context, secret client.Object) []ctrl.Request {
	name, ok := strings.CutPrefix(secret.GetName(), compile.KeysSecretPrefix)
	if !ok {
		return nil
	}
	return []ctrl.Request{{NamespacedName: types.NamespacedName{Name: name}}}
}

// Reconcile makes or rotates the keys of one AuthorizationServer and writes its status.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var as v1alpha1.AuthorizationServer
	if err := r.Client.Get(ctx, req.NamespacedName, &as); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !as.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	world := compile.NewReader(ctx, r.Client, r.Namespace)
	config, problems := compile.AuthorizationServer(world, &as)
	if err := world.Err(); err != nil {
		return ctrl.Result{}, err
	}
	var (
		material *keys.Material
		again    time.Time
		failed   error
	)
	if config != nil {
		if material, again, failed = r.rotate(ctx, &as); failed != nil {
			problems = append(problems, keysProblem(failed))
		}
		problems = append(problems, r.storage(ctx, config)...)
	}
	desired := as.DeepCopy()
	desired.Status = desiredStatus(&as, config, material, problems, r.Now())
	if err := status.Patch(ctx, r.Client, &as, desired); err != nil {
		return status.Retry(err)
	}
	status.Tell(r.Events, &as, as.Status.Conditions, desired.Status.Conditions)
	switch {
	case errors.Is(failed, errUnusable):
		return ctrl.Result{}, nil // the Secret's next change brings us back
	case failed != nil:
		return status.Retry(failed)
	}
	return ctrl.Result{RequeueAfter: wait(config, again, r.Now())}, nil
}

// wait is how long to wait until the next look; zero when an event will tell.
func wait(config *registry.Config, again, now time.Time) time.Duration {
	var next time.Duration
	if !again.IsZero() {
		next = min(max(again.Sub(now), time.Second), lookAgain)
	}
	if config != nil && config.Storage != nil && (next == 0 || next > checkStorageAgain) {
		next = checkStorageAgain
	}
	return next
}

func keysProblem(err error) compile.Problem {
	if errors.Is(err, errUnusable) {
		return compile.Problem{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonKeysNotReady, Message: err.Error(), Terminal: true}
	}
	return status.Failure(v1alpha1.ConditionReady, err)
}
