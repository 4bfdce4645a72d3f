package kubernetes

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

// page is how many grants are read at a time.
const page = 500

// Admin lists and deletes grants for a person, with that person's rights.
type Admin struct {
	client    client.Client
	namespace string
}

// NewAdmin makes an Admin for the grants in the operator's namespace.
func NewAdmin(c client.Client, namespace string) *Admin { return &Admin{c, namespace} }

// Each calls f for every grant, also revoked ones, in pages, until f returns an error.
func (a *Admin) Each(ctx context.Context, f func(*store.Grant) error) error {
	for next := ""; ; {
		var list v1alpha1.OAuthGrantList
		if err := a.client.List(ctx, &list, client.InNamespace(a.namespace), client.Limit(page), client.Continue(next)); err != nil {
			return fmt.Errorf("list OAuthGrants: %w", err)
		}
		for i := range list.Items {
			if err := f(newGrantEntry(&list.Items[i]).value); err != nil {
				return err
			}
		}
		if next = list.Continue; next == "" {
			return nil
		}
	}
}

// Delete deletes the grant with the id. store.ErrNotFound when there is none.
func (a *Admin) Delete(ctx context.Context, id string) error {
	err := a.client.Delete(ctx, &v1alpha1.OAuthGrant{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: id}})
	if isAbsent(err) {
		return store.ErrNotFound
	}
	return err
}
