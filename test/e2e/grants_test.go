package e2e

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// grantOf is the name of the OAuthGrant behind a good token.
func grantOf(t *testing.T, service reviewer, token string) string {
	t.Helper()
	ids := service.accepts(token).Extra["oauth.latchkey.io/grant-id"]
	if len(ids) != 1 {
		t.Fatalf("extra grant-id is %v", ids)
	}
	return ids[0]
}

// grantsOf are the names of all OAuthGrants of a client.
func grantsOf(t *testing.T, a *app) (names []string) {
	t.Helper()
	list, err := resource("oauthgrants", operatorNamespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Items {
		if id, _, _ := unstructured.NestedString(o.Object, "spec", "clientID"); id == a.id {
			names = append(names, o.GetName())
		}
	}
	return names
}

func TestCodeReplayAfterKubectlDelete(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("app")
	answer, r := a.tokens(alice(t), "orders.read")
	grant := grantOf(t, service, answer.AccessToken)
	kubectl(t, "", "delete", "oauthgrant", "-n", operatorNamespace, grant)
	service.comesToRefuse("`kubectl delete oauthgrant` returned", answer.AccessToken)
	for range 3 {
		r.isRefused("its grant was deleted")
	}
	if left := grantsOf(t, a); len(left) != 0 {
		t.Errorf("there are grants again: %v", left)
	}
	service.refuses("its grant was deleted", answer.AccessToken)
}

func TestCodeReplayRevokes(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.confidentialApp("app", "local", live.LocalIssuer)
	answer, r := a.tokens(alice(t), "orders.read")
	grant := grantOf(t, service, answer.AccessToken)
	other, _ := a.tokens(alice(t), "orders.read")

	thief := *r
	thief.app = &app{t: t, issuer: a.issuer, id: a.id, secret: "guessed", redirectURI: a.redirectURI}
	if got, err := thief.redeem(t.Context()); err != nil || got.Error != "invalid_client" {
		t.Errorf("without the client's secret, the code is answered with %s, %v", got.Error, err)
	}
	service.accepts(answer.AccessToken)

	for range 3 {
		r.isRefused("it is spent")
	}
	service.comesToRefuse("the code was replayed", answer.AccessToken)
	service.accepts(other.AccessToken) // another grant of the same user and client
	o, err := resource("oauthgrants", operatorNamespace).Get(t.Context(), grant, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reason, _, _ := unstructured.NestedString(o.Object, "status", "revokedReason")
	at, _, _ := unstructured.NestedString(o.Object, "status", "revokedAt")
	if reason != "CodeReplayed" || at == "" {
		t.Errorf("the grant was revoked at %q for %q", at, reason)
	}
}

// A grant outside the operator's namespace is nobody's: it neither keeps a token alive nor ends one.
func TestGrantInATenantsNamespaceHasNoEffect(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("app")
	answer, r := a.tokens(alice(t), "orders.read")
	grant := grantOf(t, service, answer.AccessToken)
	operators, tenants := resource("oauthgrants", operatorNamespace), resource("oauthgrants", n.namespace)
	o, err := operators.Get(t.Context(), grant, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	withoutPolicies(t)
	copied := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": o.GetAPIVersion(), "kind": o.GetKind(), "metadata": map[string]any{"name": grant}, "spec": o.Object["spec"],
	}}
	eventually(t, "cluster-admin creates an OAuthGrant", patience, func(ctx context.Context) (bool, error) {
		_, err := tenants.Create(ctx, copied, metav1.CreateOptions{})
		if apierrors.IsForbidden(err) { // the policy is still in force
			return false, nil
		}
		return err == nil, err
	})
	kubectl(t, "", "patch", "oauthgrant", "-n", n.namespace, grant, "--subresource=status", "--type=merge",
		"--patch", `{"status":{"revokedAt":"2026-01-01T00:00:00Z","revokedReason":"CodeReplayed"}}`)
	if user := service.accepts(answer.AccessToken); user.Username != "oauth:alice" {
		t.Errorf("the token is %q's", user.Username)
	}
	kubectl(t, "", "delete", "oauthgrant", "-n", n.namespace, grant)
	service.accepts(answer.AccessToken)

	if _, err := tenants.Create(t.Context(), copied, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "", "delete", "oauthgrant", "-n", operatorNamespace, grant)
	service.comesToRefuse("the grant was deleted, and a copy is elsewhere", answer.AccessToken)
	r.isRefused("its grant was deleted, and a copy is elsewhere")
}
