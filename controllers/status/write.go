package status

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

// FieldManager is the name under which the controller writes (kubectl get --show-managed-fields).
const FieldManager = "latchkey-controller"

// LabelManagedBy with the value ManagedBy marks the Secrets that the controller makes, and may therefore write.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "latchkey"
)

// Patch writes the status of desired where it differs from that of current, the object as it was read. Nothing is written
// when nothing differs. The write is refused with a conflict when the object has changed since: the change brings an event,
// and the object is looked at again.
func Patch(ctx context.Context, c client.Client, current, desired client.Object) error {
	if equality.Semantic.DeepEqual(current, desired) {
		return nil
	}
	patch := client.MergeFromWithOptions(current, client.MergeFromWithOptimisticLock{})
	return c.Status().Patch(ctx, desired, patch, client.FieldOwner(FieldManager))
}

// Failure is the problem that a failed step leaves in status until a later attempt succeeds.
func Failure(condition string, err error) compile.Problem {
	return compile.Problem{Condition: condition, Reason: v1alpha1.ReasonReconcileFailed, Message: err.Error() + "; it is tried again"}
}

// Raced says whether a write failed only because somebody else wrote first, or because the object is being deleted.
func Raced(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// raceDelay is how long to wait before another look when somebody else wrote first. Their write brings an event, too.
const raceDelay = 200 * time.Millisecond

// Retry is the result of a reconciliation whose last step failed: another look soon after a race, which is nobody's fault,
// the error, with back-off, for anything else. In a namespace that is being deleted there is nothing to try again.
func Retry(err error) (ctrl.Result, error) {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return ctrl.Result{}, nil
	}
	if Raced(err) {
		return Soon(), nil
	}
	return ctrl.Result{}, err
}

// Soon is the result of a reconciliation that the cache is not ready for.
func Soon() ctrl.Result { return ctrl.Result{RequeueAfter: raceDelay} }

// Tell records an Event when Ready changes, or is False for another reason than before. That an object is in force as soon as it is there
// is no news: of thousands that are applied at once, such Events would be as many writes again.
func Tell(recorder events.EventRecorder, object runtime.Object, before, after []metav1.Condition) {
	old, now := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if now == nil || (old != nil && old.Status == now.Status && old.Reason == now.Reason) {
		return
	}
	if now.Status == metav1.ConditionTrue {
		if old == nil {
			return
		}
		text := now.Message
		if text == "" {
			text = now.Type
		}
		recorder.Eventf(object, nil, corev1.EventTypeNormal, now.Reason, "Reconcile", "%s", note(text))
		return
	}
	recorder.Eventf(object, nil, corev1.EventTypeWarning, now.Reason, "Reconcile", "%s", note(now.Message))
}

// note bounds the text of an Event, which may have 1024 bytes.
func note(message string) string {
	const limit = 1000
	if len(message) <= limit {
		return message
	}
	return strings.ToValidUTF8(message[:limit], "")
}
