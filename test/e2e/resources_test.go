package e2e

import (
	"context"
	"slices"
	"testing"
)

// allowing is an access rule for the clients of a namespace.
func allowing(n tenant, scopes string) string {
	return "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: " + n.namespace + "}}, clients: [visitor], scopes: [" + scopes + "]}"
}

// visitor is a client in a namespace of its own, allowed both scopes of an API in another.
func visitor(t *testing.T) (owner tenant, service reviewer, a *app) {
	t.Helper()
	owner, guest := newTenant(t), newTenant(t)
	service = owner.api(allowing(guest, "orders.read, orders.write"))
	guest.declare("visitor", public(), redirects(callback), using(owner))
	ready(t, guest.clients(), "visitor")
	a = &app{t: t, issuer: live.Issuer, id: guest.namespace + ".visitor", redirectURI: callback, resource: owner.identifier()}
	a.isHonoured("orders.read orders.write")
	return owner, service, a
}

func TestNarrowedAccessTakesEffect(t *testing.T) {
	owner, service, a := visitor(t)
	answer, _ := a.tokens(alice(t), "orders.read orders.write")
	if scopes := service.accepts(answer.AccessToken).Extra["oauth.latchkey.io/scope"]; !slices.Contains(scopes, "orders.write") {
		t.Fatalf("the token has the scopes %v", scopes)
	}
	writing, both := alice(t).allow(a.ask("orders.write")), alice(t).allow(a.ask("orders.read orders.write"))

	guest := tenant{t, a.id[:len(a.id)-len(".visitor")]}
	owner.declareAPI(allowing(guest, "orders.read"))
	took := eventually(t, "the scope that was withdrawn is refused", enforced, func(ctx context.Context) (bool, error) {
		met, err := a.meets(ctx, "orders.write")
		return met == "redirect: invalid_scope", err
	})
	t.Logf("enforced %v after `kubectl apply` returned", took)
	writing.isRefused("the owner has withdrawn the scope")
	left, err := both.redeem(t.Context())
	if err != nil || left.Scope != "orders.read" {
		t.Errorf("the code for both scopes is answered with %q %s, %v", left.Scope, left.Error, err)
	}
	if scopes := service.accepts(answer.AccessToken).Extra["oauth.latchkey.io/scope"]; !slices.Equal(scopes, []string{"orders.read"}) {
		t.Errorf("the token from before is reviewed with the scopes %v", scopes)
	}
	refused(t, guest.clients(), "visitor", "ResolvedRefs", "RefNotPermitted")

	owner.declareAPI("")
	service.comesToRefuse("the owner has withdrawn all access", answer.AccessToken)
	service.refuses("the owner has withdrawn all access", left.AccessToken)
}

func TestDeletedResourceServerEndsItsTokens(t *testing.T) {
	owner, service, a := visitor(t)
	answer, _ := a.tokens(alice(t), "orders.read")
	service.accepts(answer.AccessToken)
	pending := alice(t).allow(a.ask("orders.read"))

	kubectl(t, "", "delete", "resourceserver", "-n", owner.namespace, "orders")
	service.comesToRefuse("the ResourceServer was deleted", answer.AccessToken)
	pending.isRefused("the ResourceServer was deleted")
	if met, err := a.meets(t.Context(), "orders.read"); err != nil || met != "redirect: invalid_scope" {
		t.Errorf("a request for it meets %q, %v", met, err)
	}
}
