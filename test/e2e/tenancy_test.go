package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// withoutPolicies has the admission policies let everything pass until the test is over, as in a cluster where they are not
// installed: safety must not depend on them.
func withoutPolicies(t *testing.T) {
	t.Helper()
	act := func(ctx context.Context, action string) error {
		for _, binding := range []string{"status.oauth.latchkey.io", "grants.oauth.latchkey.io"} {
			if _, err := live.Kubectl(ctx, "", "patch", "validatingadmissionpolicybinding", binding, "--type=merge",
				"--patch", `{"spec":{"validationActions":["`+action+`"]}}`); err != nil {
				return err
			}
		}
		return nil
	}
	if err := act(t.Context(), "Audit"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := act(ctx, "Deny"); err != nil {
			t.Error(err)
		}
		err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
			return apierrors.IsForbidden(tryStatus(ctx)), nil
		})
		if err != nil {
			t.Errorf("the policies are not in force again: %v", err)
		}
	})
	eventually(t, "the policies let a status pass", patience, func(ctx context.Context) (bool, error) {
		err := tryStatus(ctx)
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// tryStatus writes a status, and does not.
func tryStatus(ctx context.Context) error {
	_, err := resource("oauthclients", sampleNamespace).Patch(ctx, "print-shop", types.MergePatchType,
		[]byte(`{"status":{"clientID":"forged"}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, "status")
	return err
}

// admin makes a user the admin of the namespace, with every right to our kinds, status and grants included.
func (n tenant) admin(user string) {
	n.t.Helper()
	kubectl(n.t, "", "create", "rolebinding", "admin", "-n", n.namespace, "--clusterrole=admin", "--user="+user)
	apply(n.t, strings.NewReplacer("NAMESPACE", n.namespace, "USER", user).Replace(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: everything, namespace: NAMESPACE}
rules:
- {apiGroups: [oauth.latchkey.io], resources: ["*"], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: everything, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: everything}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: USER}
`))
	eventually(n.t, "the RoleBindings work", patience, func(ctx context.Context) (bool, error) {
		out, _ := live.Kubectl(ctx, "", "auth", "can-i", "create", "oauthgrants", "-n", n.namespace, "--as="+user) // exits with 1 for no
		return strings.TrimSpace(out) == "yes", nil
	})
}

func TestNamespaceAdminWritesNeitherStatusNorGrants(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("app")
	n.admin("mallory")
	answer, _ := a.tokens(alice(t), "orders.read")
	grant := grantOf(t, service, answer.AccessToken)

	refusedFor := func(message, stdin string, args ...string) {
		t.Helper()
		out, err := live.Kubectl(t.Context(), stdin, append(args, "--as=mallory", "--as-group=system:authenticated")...)
		if err == nil || !strings.Contains(out, message) {
			t.Errorf("kubectl %v: %s, %v", args, out, err)
		}
	}
	for plural, name := range map[string]string{"oauthclients": "app", "resourceservers": "orders"} {
		refusedFor("only Latchkey writes the status of "+plural, "", "patch", plural, name, "-n", n.namespace, "--subresource=status",
			"--type=merge", "--patch", `{"status":{"observedGeneration":9}}`)
	}
	forged := withoutIdentity(t, kubectl(t, "", "get", "oauthgrant", grant, "-n", operatorNamespace, "-o", "yaml"))
	refusedFor("OAuthGrants exist in namespace latchkey-system only", strings.Replace(forged, operatorNamespace, n.namespace, 1), "create", "-f", "-")
	refusedFor("cannot create resource", strings.Replace(forged, grant, "forged", 1), "create", "-f", "-")
	refusedFor("cannot delete resource", "", "delete", "oauthgrant", grant, "-n", operatorNamespace)
	refusedFor("cannot list resource", "", "get", "secrets", "-n", operatorNamespace)
	service.accepts(answer.AccessToken)
}

// forge writes secrets into a client's status, as cluster-admin.
func forge(t *testing.T, n tenant, name string, secrets any) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"clientID": "someone.else", "secrets": secrets}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.clients().Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

// status is the part of a client's status that the server believes.
func (n tenant) status(ctx context.Context, name string) (clientID string, secrets []any, err error) {
	o, err := n.clients().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", nil, err
	}
	clientID, _, _ = unstructured.NestedString(o.Object, "status", "clientID")
	secrets, _, err = unstructured.NestedSlice(o.Object, "status", "secrets")
	return clientID, secrets, err
}

// A digest is bound to its client: copied into another's status it opens nothing, and the controller puts the status right.
func TestCopiedDigestDoesNotAuthenticate(t *testing.T) {
	victim, mallory := newTenant(t), newTenant(t)
	victim.api("")
	mallory.api("")
	owner := victim.confidentialApp("app", "default", live.Issuer)
	thief := mallory.confidentialApp("app", "default", live.Issuer)
	_, stolen, err := victim.status(t.Context(), "app")
	if err != nil || len(stolen) != 1 {
		t.Fatalf("the victim's secrets: %v, %v", stolen, err)
	}
	_, own, err := mallory.status(t.Context(), "app")
	if err != nil || len(own) != 1 {
		t.Fatalf("the tenant's secrets: %v, %v", own, err)
	}
	withoutPolicies(t)
	pretender := *thief
	pretender.secret = owner.secret
	for range 10 {
		forge(t, mallory, "app", stolen)
		took := eventually(t, "the status is corrected", patience, func(ctx context.Context) (bool, error) {
			if err := pretender.proves(ctx); err == nil || err.Error() != "invalid_client" {
				t.Errorf("the victim's secret at the tenant's client: %v", err)
			}
			id, secrets, err := mallory.status(ctx, "app")
			return id == thief.id && len(secrets) == 1 && equalJSON(t, secrets, own), err
		})
		t.Logf("corrected after %v", took)
	}
	eventually(t, "the tenant's own secret works again", enforced, func(ctx context.Context) (bool, error) {
		return thief.proves(ctx) == nil, nil
	})
	if err := owner.proves(t.Context()); err != nil {
		t.Errorf("the victim's own secret: %v", err)
	}
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	first, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(first) == string(second)
}

func TestSecretOfSomebodyElseIsNotTouched(t *testing.T) {
	n := newTenant(t)
	n.api("")
	n.confidentialApp("first", "default", live.Issuer)
	kubectl(t, "", "create", "secret", "generic", "precious", "-n", n.namespace, "--from-literal=client-secret=mine", "--from-literal=other=too")
	for name, secretName := range map[string]string{"taker": "precious", "second": "first-oauth"} {
		before := n.secret(secretName)
		n.declare(name, confidential, redirects(callback), using(n), generated(secretName))
		if message := refused(t, n.clients(), name, "SecretReady", "SecretConflict"); !strings.Contains(message, secretName) {
			t.Errorf("the message does not name the Secret: %s", message)
		}
		refused(t, n.clients(), name, "Ready", "SecretConflict")
		kubectl(t, "", "delete", "oauthclient", "-n", n.namespace, name)
		if after := n.secret(secretName); after.UID != before.UID || after.ResourceVersion != before.ResourceVersion {
			t.Errorf("Secret %s was written", secretName)
		}
	}
}

func TestIdentifierThatBelongsToSomebodyElse(t *testing.T) {
	owner := newTenant(t)
	service := owner.api("")
	a := owner.publicApp("app")
	answer, _ := a.tokens(alice(t), "orders.read")
	service.accepts(answer.AccessToken)
	before, err := resource("resourceservers", owner.namespace).Get(t.Context(), "orders", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	n := newTenant(t)
	servers := resource("resourceservers", n.namespace)
	for name, identifier := range map[string]string{
		"orders": owner.identifier(), "cluster": "https://kubernetes.default.svc.cluster.local", "issuer": live.Issuer, "elsewhere": "https://api.example.com/orders",
	} {
		apply(t, `{apiVersion: oauth.latchkey.io/v1alpha1, kind: ResourceServer, metadata: {name: `+name+`, namespace: `+n.namespace+`},
  spec: {authorizationServerNames: [default], identifier: "`+identifier+`", scopes: [{name: orders.read, description: Steal your orders}]}}`)
		message := refused(t, servers, name, "Accepted", "IdentifierNotPermitted")
		if !strings.Contains(message, identifier) {
			t.Errorf("the message does not name the identifier: %s", message)
		}
		refused(t, servers, name, "Ready", "IdentifierNotPermitted")
	}
	// A client that uses the false one is given nothing there.
	n.declare("app", public(), redirects(callback), using(n))
	refused(t, n.clients(), "app", "ResolvedRefs", "RefNotAccepted")
	thief := &app{t: t, issuer: live.Issuer, id: n.namespace + ".app", redirectURI: callback, resource: owner.identifier()}
	if met, err := thief.meets(t.Context(), "orders.read"); err != nil || met != "redirect: invalid_scope" {
		t.Errorf("a client of the false API meets %q, %v", met, err)
	}

	after, err := resource("resourceservers", owner.namespace).Get(t.Context(), "orders", metav1.GetOptions{})
	if err != nil || after.GetResourceVersion() != before.GetResourceVersion() {
		t.Errorf("the API that the identifier belongs to was written: %v", err)
	}
	service.accepts(answer.AccessToken)
	a.tokens(alice(t), "orders.read")
}
