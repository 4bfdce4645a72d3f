package status

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// Requests lists objects of list's kind as requests to reconcile each. A cache that can't be read is logged: the objects
// are reconciled again when it can.
func Requests(ctx context.Context, c client.Reader, list client.ObjectList, options ...client.ListOption) []ctrl.Request {
	var out []ctrl.Request
	err := c.List(ctx, list, options...)
	if err == nil {
		err = meta.EachListItem(list, func(object runtime.Object) error {
			o, err := meta.Accessor(object)
			if err == nil {
				out = append(out, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: o.GetNamespace(), Name: o.GetName()}})
			}
			return err
		})
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list for reconciling", "list", fmt.Sprintf("%T", list))
	}
	return out
}

// AuthorizationServerChanged passes the events of AuthorizationServers that matter to the objects that name them: a new spec
// or another verdict on it. A rotation of keys is none.
func AuthorizationServerChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{UpdateFunc: readyChanged})
}

// NotFailingAgain holds back what a failure brings about itself: an update of status alone, from one that says that a step failed and is
// tried again to another one. Back-off decides about the next attempt; else a cause that words itself differently each time would have
// them follow each other without a pause. What somebody else writes into such a status is corrected at that next attempt.
func NotFailingAgain() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !failing(e.ObjectOld) || !failing(e.ObjectNew) || e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!e.ObjectOld.GetDeletionTimestamp().Equal(e.ObjectNew.GetDeletionTimestamp()) ||
			!maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations())
	}}
}

// failing says whether a condition is False because of a step that is tried again.
func failing(object any) bool {
	var conditions []metav1.Condition
	switch o := object.(type) {
	case *v1alpha1.OAuthClient:
		conditions = o.Status.Conditions
	case *v1alpha1.AuthorizationServer:
		conditions = o.Status.Conditions
	}
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		return c.Status == metav1.ConditionFalse && (c.Reason == v1alpha1.ReasonReconcileFailed || c.Reason == v1alpha1.ReasonStorageUnreachable)
	})
}

// Backoff is how long after a failure an object is looked at again: soon at first, and every two minutes for as long as it fails.
func Backoff() workqueue.TypedRateLimiter[ctrl.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](firstRetry, lastRetry)
}

const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 2 * time.Minute
)

func readyChanged(e event.UpdateEvent) bool {
	return verdict(e.ObjectOld) != verdict(e.ObjectNew)
}

func verdict(object any) string {
	as, ok := object.(*v1alpha1.AuthorizationServer)
	if !ok {
		return ""
	}
	ready := meta.FindStatusCondition(as.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return string(metav1.ConditionUnknown)
	}
	return string(ready.Status) + "/" + ready.Reason
}
