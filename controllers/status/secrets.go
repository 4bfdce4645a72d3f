package status

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// KeepSecrets begins a controller that keeps Secrets of which a namespace has one each. It has one request, which is made when the controller
// starts, since nothing happens where there is nothing yet, when one of the Secrets changes, and when the spec of an object does of which a kind
// is named.
func KeepSecrets(mgr ctrl.Manager, name, namespace string, secrets []string, specs ...client.Object) *builder.Builder {
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: secrets[0]}}
	toRequest := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []ctrl.Request { return []ctrl.Request{request} })
	start := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		queue.Add(request)
		return nil
	})
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return o.GetNamespace() == namespace && slices.Contains(secrets, o.GetName())
	})
	b := ctrl.NewControllerManagedBy(mgr).Named(name).WithOptions(controller.Options{RateLimiter: Backoff()}).
		WatchesRawSource(start).
		Watches(&corev1.Secret{}, toRequest, builder.WithPredicates(ours))
	for _, o := range specs {
		b = b.Watches(o, toRequest, builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	}
	return b
}
