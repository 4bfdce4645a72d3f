package controllers_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// An API that names clients which are not there is Ready, says which, and follows them; whoever waits for one before applying the other
// gets on.
func TestAPIFollowsTheClientsThatItNames(t *testing.T) {
	c := storefront(t)
	rs := orders(c.Namespace)
	rs.Spec.TokenExchange = &v1alpha1.TokenExchange{Clients: []string{c.Name}}
	rs.Spec.Introspection = &v1alpha1.Introspection{Clients: []string{c.Name}}
	running.create(t, rs)
	resolved := func(status metav1.ConditionStatus, reason string) {
		t.Helper()
		eventually(t, "ResolvedRefs="+string(status)+" "+reason, func() (bool, error) {
			err := running.api.Get(t.Context(), client.ObjectKeyFromObject(rs), rs)
			return says(rs.Status.Conditions, v1alpha1.ConditionResolvedRefs, status, reason), err
		})
		if !says(rs.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady) || meta.FindStatusCondition(rs.Status.Conditions, v1alpha1.ConditionStalled) != nil {
			t.Errorf("conditions %+v", rs.Status.Conditions)
		}
	}
	resolved(metav1.ConditionFalse, v1alpha1.ReasonRefNotFound)
	running.create(t, c)
	resolved(metav1.ConditionFalse, v1alpha1.ReasonRefNotUsable)
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.GrantTypes = append(c.Spec.GrantTypes, "urn:ietf:params:oauth:grant-type:token-exchange")
	})
	resolved(metav1.ConditionTrue, v1alpha1.ReasonResolvedRefs)
	must(t, running.api.Delete(t.Context(), c))
	resolved(metav1.ConditionFalse, v1alpha1.ReasonRefNotFound)
}
