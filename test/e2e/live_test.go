package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A client is usable from the moment that it is Ready, secret and all.
func TestNewClientIsUsable(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	begin := time.Now()
	n.declare("storefront", confidential, redirects(callback), using(n), generated("storefront-oauth"))
	ready(t, n.clients(), "storefront")
	isReady := time.Now()
	a := n.withCredentials(&app{t: t, issuer: live.Issuer, redirectURI: callback, resource: n.identifier()}, "storefront-oauth")
	took := a.isHonoured("openid orders.read")
	t.Logf("Ready %v after `kubectl apply` began, honoured %v after that", isReady.Sub(begin), took)
	answer, r := a.tokens(alice(t), "openid orders.read")
	if answer.IDToken == "" || answer.Scope != "openid orders.read" {
		t.Errorf("the answer has scope %q and an ID token of %d bytes", answer.Scope, len(answer.IDToken))
	}
	if user := service.accepts(answer.AccessToken); user.Username != "oauth:alice" {
		t.Errorf("the token is %q's", user.Username)
	}
	r.isRefused("a code that is spent")
}

func TestChangedRedirectURIIsEnforced(t *testing.T) {
	n := newTenant(t)
	n.api("")
	before := n.publicApp("mover")
	after := *before
	after.redirectURI = "https://app.example/elsewhere"
	pending := alice(t).allow(before.ask("orders.read"))

	n.declare("mover", public(), redirects(after.redirectURI), using(n))
	took := eventually(t, "the new redirect URI works and the old one is a page of our own", time.Second, func(ctx context.Context) (bool, error) {
		old, err := before.meets(ctx, "orders.read")
		if err != nil {
			return false, err
		}
		page, err := after.meets(ctx, "orders.read")
		return old == "page 400: invalid_request" && page == signInPage, err
	})
	t.Logf("enforced %v after `kubectl apply` returned", took)
	pending.isRefused("a code for a redirect URI that is not registered any more")
	after.tokens(alice(t), "orders.read")
}

func TestDeletedClientsTokensAreRefused(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("leaver")
	answer, _ := a.tokens(alice(t), "openid orders.read")
	service.accepts(answer.AccessToken)
	pending := alice(t).allow(a.ask("orders.read"))

	begin := time.Now()
	kubectl(t, "", "delete", "oauthclient", "-n", n.namespace, "leaver")
	returned := time.Now()
	service.comesToRefuse("`kubectl delete oauthclient` returned", answer.AccessToken)
	t.Logf("`kubectl delete oauthclient` took %v itself", returned.Sub(begin))
	if status := userinfo(t, a, answer.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("userinfo answers %d", status)
	}
	if page, err := a.meets(t.Context(), "orders.read"); err != nil || page != "page 400: invalid_request" {
		t.Errorf("a request of the deleted client meets %q, %v", page, err)
	}
	if got, err := pending.redeem(t.Context()); err != nil || got.Error != "invalid_client" {
		t.Errorf("its code is answered with %s, %v", got.Error, err)
	}

	// The same name again is another client.
	again := n.publicApp("leaver")
	service.refuses("a client was created again under the name", answer.AccessToken)
	pending.isRefused("a client was created again under the name")
	fresh, _ := again.tokens(alice(t), "orders.read")
	service.accepts(fresh.AccessToken)
	if err := n.clients().Delete(t.Context(), "leaver", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	service.comesToRefuse("kube-apiserver answered the deletion", fresh.AccessToken)
}

func TestDisabledClientIsRefusedEverything(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("paused")
	answer, _ := a.tokens(alice(t), "orders.read")
	service.accepts(answer.AccessToken)
	n.declare("paused", public(), redirects(callback), using(n), "disabled: true")
	service.comesToRefuse("spec.disabled was applied", answer.AccessToken)
	disabled(t, n.clients(), "paused")
}

// userinfo is the status of its answer.
func userinfo(t *testing.T, a *app, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.issuer+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	status, _, err := send(request)
	if err != nil {
		t.Fatal(err)
	}
	return status
}
