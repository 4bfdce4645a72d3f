// Package resourceserver says in status whether a ResourceServer is accepted.
package resourceserver

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	"github.com/latchkey-io/latchkey/server/registry"
)

// Reconciler writes the status of ResourceServers.
type Reconciler struct {
	Client client.Client
	// Namespace is the operator's namespace.
	Namespace string
	Events    events.EventRecorder
	Now       func() time.Time
}

// clientsField indexes ResourceServers by the names of the clients that they name.
const clientsField = "spec.clients"

func clients(o client.Object) []string {
	var names []string
	for _, ref := range compile.NamedClients(o.(*v1alpha1.ResourceServer)) {
		names = append(names, ref.Name)
	}
	return names
}

// SetupWithManager registers the reconciler and its index.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.ResourceServer{}, clientsField, clients); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ResourceServer{}).
		Watches(&v1alpha1.ResourceServer{}, handler.EnqueueRequestsFromMapFunc(r.rivals)).
		// Every issuer counts: a ResourceServer may not claim its identifier, whether it names it or not.
		Watches(&v1alpha1.AuthorizationServer{}, handler.EnqueueRequestsFromMapFunc(r.all), builder.WithPredicates(status.AuthorizationServerChanged())).
		Watches(&v1alpha1.OAuthClient{}, handler.EnqueueRequestsFromMapFunc(r.naming), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.inNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(controller.Options{RateLimiter: status.Backoff()}).
		Complete(r)
}

// rivals are the other ResourceServers that claim the same identifier: what happens to one decides about the next.
func (r *Reconciler) rivals(ctx context.Context, o client.Object) []ctrl.Request {
	rs, ok := o.(*v1alpha1.ResourceServer)
	if !ok {
		return nil
	}
	found := r.list(ctx, client.MatchingFields{compile.IdentifierField: rs.Spec.Identifier})
	return slices.DeleteFunc(found, func(q ctrl.Request) bool { return q.NamespacedName == client.ObjectKeyFromObject(rs) })
}

// naming are the ResourceServers that name a client.
func (r *Reconciler) naming(ctx context.Context, c client.Object) []ctrl.Request {
	return r.list(ctx, client.InNamespace(c.GetNamespace()), client.MatchingFields{clientsField: c.GetName()})
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []ctrl.Request { return r.list(ctx) }

func (r *Reconciler) inNamespace(ctx context.Context, ns client.Object) []ctrl.Request {
	return r.list(ctx, client.InNamespace(ns.GetName()))
}

func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []ctrl.Request {
	return status.Requests(ctx, r.Client, &v1alpha1.ResourceServerList{}, options...)
}

// Reconcile writes the status of one ResourceServer.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var rs v1alpha1.ResourceServer
	if err := r.Client.Get(ctx, req.NamespacedName, &rs); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !rs.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	world := compile.NewReader(ctx, r.Client, r.Namespace)
	accepted, problems := compile.ResourceServer(world, &rs)
	unresolved := compile.UnresolvedClients(world, &rs)
	if err := world.Err(); err != nil {
		return ctrl.Result{}, err
	}
	desired := rs.DeepCopy()
	desired.Status = desiredStatus(&rs, accepted, problems, unresolved, r.Now())
	if err := status.Patch(ctx, r.Client, &rs, desired); err != nil {
		return status.Retry(err)
	}
	status.Tell(r.Events, &rs, rs.Status.Conditions, desired.Status.Conditions)
	return ctrl.Result{}, nil
}

// desiredStatus is the whole status of a ResourceServer. Ready does not wait for clients that it names: they name it as well, and tools
// that wait for one object before they apply the next could not begin with either. Until they are there, nobody has what they are
// named for.
func desiredStatus(rs *v1alpha1.ResourceServer, accepted map[string]*registry.Resource, problems, unresolved []compile.Problem, now time.Time) v1alpha1.ResourceServerStatus {
	positive := []status.Positive{
		{Type: v1alpha1.ConditionAccepted, Reason: v1alpha1.ReasonAccepted},
		{Type: v1alpha1.ConditionResolvedRefs, Reason: v1alpha1.ReasonResolvedRefs, Notes: unresolved},
	}
	if len(unresolved) > 0 {
		positive = append(positive, status.Positive{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonReady,
			Message: "in force, but for clients that it names, of which ResolvedRefs tells"})
	}
	return v1alpha1.ResourceServerStatus{
		ObservedGeneration:       rs.Generation,
		AuthorizationServerNames: slices.Sorted(maps.Keys(accepted)),
		Conditions:               status.Conditions(rs.Status.Conditions, rs.Generation, now, positive, problems),
	}
}
