package controllers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
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

// A client that names ServiceAccounts which are not there is Ready, says which, and follows them, whatever keeps one that is deleted.
func TestClientFollowsTheServiceAccountsThatItNames(t *testing.T) {
	c := storefront(t, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication = &v1alpha1.ClientAuthentication{ServiceAccount: &v1alpha1.ServiceAccountAuthentication{Names: []v1alpha1.ServiceAccountName{"web", "worker"}}}
	})
	account := func(namespace, name string) *corev1.ServiceAccount {
		return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Finalizers: []string{"example.com/held"}}}
	}
	web, worker := account(c.Namespace, "web"), account(c.Namespace, "worker")
	resolved := func(status metav1.ConditionStatus, reason string, missing ...string) {
		t.Helper()
		eventually(t, fmt.Sprintf("ResolvedRefs=%s %s %v", status, reason, missing), func() (bool, error) {
			err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
			said := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionResolvedRefs)
			return said != nil && said.Status == status && said.Reason == reason && strings.Count(said.Message, " has ") == len(missing) &&
				!slices.ContainsFunc(missing, func(name string) bool { return !strings.Contains(said.Message, "names has "+name+",") }), err
		})
		if !says(c.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady) || meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionStalled) != nil {
			t.Errorf("conditions %+v", c.Status.Conditions)
		}
	}
	running.create(t, account(running.namespace(t, nil), "web"), c)
	resolved(metav1.ConditionFalse, v1alpha1.ReasonRefNotFound, "web", "worker")
	running.create(t, web)
	resolved(metav1.ConditionFalse, v1alpha1.ReasonRefNotFound, "worker")
	running.create(t, worker)
	resolved(metav1.ConditionTrue, v1alpha1.ReasonResolvedRefs)
	must(t, running.api.Delete(t.Context(), worker))
	resolved(metav1.ConditionFalse, v1alpha1.ReasonRefNotFound, "worker")
	change(t, running, worker, func(a *corev1.ServiceAccount) { a.Finalizers = nil })
	eventually(t, "it is gone", running.gone(t, worker))
	running.create(t, account(c.Namespace, "worker"))
	resolved(metav1.ConditionTrue, v1alpha1.ReasonResolvedRefs)
}
