package status_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
)

func TestAFailureIsNoReasonToTryAgain(t *testing.T) {
	conditions := func(problems ...compile.Problem) []metav1.Condition {
		return status.Conditions(nil, 3, now, positive, problems)
	}
	failure := func(words string) []metav1.Condition {
		return conditions(compile.Problem{Condition: v1alpha1.ConditionSecretReady, Reason: v1alpha1.ReasonReconcileFailed, Message: words})
	}
	unreached := func(words string) compile.Problem {
		return compile.Problem{Condition: v1alpha1.ConditionStorageReady, Reason: v1alpha1.ReasonStorageUnreachable, Message: words}
	}
	oauthClient := func(c []metav1.Condition, edits ...func(*metav1.ObjectMeta)) client.Object {
		o := &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Generation: 3}, Status: v1alpha1.OAuthClientStatus{Conditions: c}}
		for _, edit := range edits {
			edit(&o.ObjectMeta)
		}
		return o
	}
	issuer := func(c []metav1.Condition) client.Object {
		return &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Generation: 3}, Status: v1alpha1.AuthorizationServerStatus{Conditions: c}}
	}
	for name, tc := range map[string]struct {
		before, after client.Object
		passes        bool
	}{
		"the same failure, in other words":   {oauthClient(failure("one")), oauthClient(failure("two")), false},
		"an issuer's":                        {issuer(failure("one")), issuer(failure("two")), false},
		"a storage that is not reached":      {issuer(conditions(unreached("one"))), issuer(conditions(unreached("two"))), false},
		"the first failure":                  {oauthClient(conditions()), oauthClient(failure("one")), true},
		"somebody writes that all is well":   {oauthClient(failure("one")), oauthClient(conditions()), true},
		"somebody writes that all is failed": {oauthClient(conditions(denied)), oauthClient(failure("one")), true},
		"another spec":                       {oauthClient(failure("one")), oauthClient(failure("one"), func(m *metav1.ObjectMeta) { m.Generation = 4 }), true},
		"a rotation is asked for": {oauthClient(failure("one")), oauthClient(failure("one"), func(m *metav1.ObjectMeta) {
			m.Annotations = map[string]string{v1alpha1.AnnotationRotate: "now"}
		}), true},
		"deletion": {oauthClient(failure("one")), oauthClient(failure("one"), func(m *metav1.ObjectMeta) { m.DeletionTimestamp = &metav1.Time{Time: now} }), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := status.NotFailingAgain().Update(event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}); got != tc.passes {
				t.Errorf("passes: %v", got)
			}
		})
	}
}
