// Package localuser says in status whether a LocalUser can sign in.
package localuser

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
)

// Indexes of LocalUsers.
const (
	secretField = "spec.passwordSecretRef.name"
	serverField = "effectiveAuthorizationServers"
)

// Reconciler writes the status of LocalUsers.
type Reconciler struct {
	Client client.Client
	// Namespace is the operator's namespace, where passwords are.
	Namespace string
	Events    events.EventRecorder
	Now       func() time.Time
}

// SetupWithManager registers the reconciler and its indexes.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	indexes := map[string]client.IndexerFunc{
		secretField: func(o client.Object) []string { return passwordSecret(o.(*v1alpha1.LocalUser)) },
		serverField: func(o client.Object) []string {
			return compile.EffectiveAuthorizationServers(o.(*v1alpha1.LocalUser).Spec.AuthorizationServerNames)
		},
	}
	for field, index := range indexes {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.LocalUser{}, field, index); err != nil {
			return err
		}
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.LocalUser{}).
		Watches(&v1alpha1.LocalUser{}, handler.EnqueueRequestsFromMapFunc(r.namesakes)).
		Watches(&v1alpha1.AuthorizationServer{}, handler.EnqueueRequestsFromMapFunc(r.atServer), builder.WithPredicates(status.AuthorizationServerChanged())).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofSecret)).
		WithOptions(controller.Options{RateLimiter: status.Backoff()}).
		Complete(r)
}

func passwordSecret(u *v1alpha1.LocalUser) []string {
	if u.Spec.PasswordSecretRef == nil {
		return nil
	}
	return []string{u.Spec.PasswordSecretRef.Name}
}

// namesakes are the users with the same subject, of whom only one can be accepted.
func (r *Reconciler) namesakes(ctx context.Context, o client.Object) []ctrl.Request {
	u, ok := o.(*v1alpha1.LocalUser)
	if !ok {
		return nil
	}
	return r.list(ctx, client.MatchingFields{compile.SubjectField: compile.EffectiveSubject(u)})
}

func (r *Reconciler) atServer(ctx context.Context, as client.Object) []ctrl.Request {
	return r.list(ctx, client.MatchingFields{serverField: as.GetName()})
}

// ofSecret are the users whose password a Secret holds, or whose issuer's keys.
func (r *Reconciler) ofSecret(ctx context.Context, secret client.Object) []ctrl.Request {
	if name, ok := strings.CutPrefix(secret.GetName(), compile.KeysSecretPrefix); ok {
		return r.list(ctx, client.MatchingFields{serverField: name})
	}
	return r.list(ctx, client.MatchingFields{secretField: secret.GetName()})
}

func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []ctrl.Request {
	return status.Requests(ctx, r.Client, &v1alpha1.LocalUserList{}, options...)
}

// Reconcile writes the status of one LocalUser.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var user v1alpha1.LocalUser
	if err := r.Client.Get(ctx, req.NamespacedName, &user); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !user.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	world := compile.NewReader(ctx, r.Client, r.Namespace)
	_, problems := compile.LocalUser(world, &user)
	if err := world.Err(); err != nil {
		return ctrl.Result{}, err
	}
	var positive []status.Positive
	if user.Spec.Disabled {
		positive = append(positive, status.Disabled("spec.disabled is true: the user can't sign in"))
	}
	desired := user.DeepCopy()
	desired.Status = v1alpha1.LocalUserStatus{
		ObservedGeneration: user.Generation,
		Conditions:         status.Conditions(user.Status.Conditions, user.Generation, r.Now(), positive, problems),
	}
	if err := status.Patch(ctx, r.Client, &user, desired); err != nil {
		return status.Retry(err)
	}
	status.Tell(r.Events, &user, user.Status.Conditions, desired.Status.Conditions)
	return ctrl.Result{}, nil
}
