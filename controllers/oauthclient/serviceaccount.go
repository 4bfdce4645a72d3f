package oauthclient

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

// ServiceAccountMetadata is the object by which the metadata of ServiceAccounts is watched and read.
func ServiceAccountMetadata() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	return o
}

// NameableServiceAccounts leaves out the ServiceAccount that every namespace has, and that no client may name.
func NameableServiceAccounts() fields.Selector {
	return fields.OneTermNotEqualSelector(metav1.ObjectNameField, compile.DefaultServiceAccount)
}

// missingServiceAccounts tells of the ServiceAccounts that a client names in vain. They may come later, and nothing else of the client
// waits for them: they are notes, and no problems.
func (r *Reconciler) missingServiceAccounts(ctx context.Context, c *v1alpha1.OAuthClient) ([]compile.Problem, error) {
	var missing []compile.Problem
	for _, name := range serviceAccounts(c) {
		if name == compile.DefaultServiceAccount { // which is there, and refused
			continue
		}
		account := ServiceAccountMetadata()
		err := r.Metadata.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: name}, account)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("look for ServiceAccount %s: %w", name, err)
		}
		if err != nil || account.DeletionTimestamp != nil {
			missing = append(missing, compile.Problem{Condition: v1alpha1.ConditionResolvedRefs, Reason: v1alpha1.ReasonRefNotFound, Message: fmt.Sprintf(
				"spec.authentication.serviceAccount.names has %s, and there is no ServiceAccount of that name in this namespace; create it, or correct the name", name)})
		}
	}
	return missing, nil
}

// serviceAccounts are the names of those that a client names.
func serviceAccounts(c *v1alpha1.OAuthClient) []string {
	if c.Spec.Authentication == nil || c.Spec.Authentication.ServiceAccount == nil {
		return nil
	}
	var names []string
	for _, name := range c.Spec.Authentication.ServiceAccount.Names {
		names = append(names, string(name))
	}
	return names
}

// ofServiceAccount are the clients that name a ServiceAccount.
func (r *Reconciler) ofServiceAccount(ctx context.Context, account *metav1.PartialObjectMetadata) []ctrl.Request {
	return r.list(ctx, client.InNamespace(account.Namespace), client.MatchingFields{serviceAccountField: account.Name})
}

// comesOrGoes passes the events by which a ServiceAccount comes to be there, or not to be.
func comesOrGoes() predicate.TypedPredicate[*metav1.PartialObjectMetadata] {
	return predicate.TypedFuncs[*metav1.PartialObjectMetadata]{UpdateFunc: func(e event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool {
		return e.ObjectOld.UID != e.ObjectNew.UID || (e.ObjectOld.DeletionTimestamp == nil) != (e.ObjectNew.DeletionTimestamp == nil)
	}}
}
