package status

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

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
