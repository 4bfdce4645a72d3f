package publish_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/registry"
)

// resourceOf is the API that a client may ask for, as its own entry has it.
func resourceOf(h *registry.Holder, id, identifier string) *registry.Resource {
	c := clientIn(h, id)
	if c == nil {
		return nil
	}
	access, ok := c.AccessTo(identifier)
	if !ok {
		return nil
	}
	return access.Resource
}

// An API that has many clients is compiled once for all of them, and what changes in it reaches each of them all the same.
func TestClientsShareAnAPIAndItsChanges(t *testing.T) {
	w := newWorld(t, "shared")
	orders := w.orders(t, v1alpha1.AccessRule{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"oauth": "yes"}}, Clients: []string{"*"}, Scopes: []string{"*"}})
	first := w.storefront(t)
	second := create(t, &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: w.web.Name, Name: "another"}, Spec: first.Spec})
	holder := start(t)
	ids := []string{compile.ClientID(first), compile.ClientID(second)}
	a, b := resourceOf(holder, ids[0], orders.Spec.Identifier), resourceOf(holder, ids[1], orders.Spec.Identifier)
	if a == nil || a != b {
		t.Fatalf("the API is %p for one client and %p for the other", a, b)
	}
	update(t, second, func(c *v1alpha1.OAuthClient) { c.Spec.DisplayName = "Another, renamed" })
	eventually(t, "one client is renamed", func() bool { return clientIn(holder, ids[1]).DisplayName == "Another, renamed" })
	if b = resourceOf(holder, ids[1], orders.Spec.Identifier); a != b {
		t.Errorf("of a client that changed by itself the API is %p, of the other one %p", b, a)
	}
	update(t, orders, func(rs *v1alpha1.ResourceServer) { rs.Spec.DisplayName = "Orders, renamed" })
	for _, id := range ids {
		eventually(t, id+" has the new name of the API", func() bool {
			r := resourceOf(holder, id, orders.Spec.Identifier)
			return r != nil && r.DisplayName == "Orders, renamed"
		})
	}
	update(t, orders, func(rs *v1alpha1.ResourceServer) { rs.Spec.Access = nil })
	for _, id := range ids {
		eventually(t, id+" may not ask for it any more", func() bool { return clientIn(holder, id) != nil && !mayAsk(holder, id, orders.Spec.Identifier) })
	}
	update(t, w.issuer, func(as *v1alpha1.AuthorizationServer) {
		as.Spec.AllowedNamespaces = &v1alpha1.NamespaceMatch{Selector: metav1.LabelSelector{MatchLabels: map[string]string{"oauth": "no"}}}
	})
	for _, id := range ids {
		eventually(t, id+" is not accepted any more", func() bool { return clientIn(holder, id) == nil })
	}
}
