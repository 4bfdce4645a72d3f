package status

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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
