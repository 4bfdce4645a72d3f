package crd

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

const (
	controllerAccount = "system:serviceaccount:latchkey-system:latchkey-controller"
	serverAccount     = "system:serviceaccount:latchkey-system:latchkey-server"
	mallory           = "mallory"
	malloryClient     = "mallory-app"
)

// malloryIsAdmin gives a tenant every right in a namespace, */status and grants included, as Flux often has, and a client.
func malloryIsAdmin(t *testing.T) {
	t.Helper()
	apply(t, `
apiVersion: v1
kind: Namespace
metadata: {name: mallory}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: everything, namespace: mallory}
rules:
- {apiGroups: ["*"], resources: ["*"], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: everything, namespace: mallory}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: everything}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: mallory-app, namespace: mallory}
spec:
  type: Public
  redirectURIs: [https://mallory.example/callback]
  grantTypes: [authorization_code]
`)
}

// patchStatus pretends that a client is ready.
func patchStatus(ctx context.Context, clients dynamic.ResourceInterface) error {
	_, err := clients.Patch(ctx, malloryClient, types.MergePatchType, []byte(`{"status":{"clientID":"shop.storefront"}}`), metav1.PatchOptions{}, "status")
	return err
}

// refusedByPolicy fails unless the error is the policy's, with that message, rather than RBAC's.
func refusedByPolicy(t *testing.T, err error, message string) {
	t.Helper()
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") || !strings.Contains(err.Error(), message) {
		t.Errorf("got %v", err)
	}
}

func TestTenantCannotWriteStatus(t *testing.T) {
	malloryIsAdmin(t)
	refusedByPolicy(t, patchStatus(t.Context(), as(t, mallory, "oauthclients", "mallory")), "only Latchkey writes the status of oauthclients")
	refusedByPolicy(t, patchStatus(t.Context(), as(t, "", "oauthclients", "mallory")), "only Latchkey writes the status of oauthclients")
	if err := patchStatus(t.Context(), as(t, controllerAccount, "oauthclients", "mallory")); err != nil {
		t.Errorf("the controller could not: %v", err)
	}
}

func TestTenantCannotWriteStatusThroughTheObject(t *testing.T) {
	malloryIsAdmin(t)
	clients := as(t, mallory, "oauthclients", "mallory")
	patch := []byte(`{"spec":{"displayName":"Mine"},"status":{"authorizationServerName":"forged"}}`)
	after, err := clients.Patch(t.Context(), malloryClient, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatalf("a tenant's own spec is the tenant's: %v", err)
	}
	name, _, err := unstructured.NestedString(after.Object, "status", "authorizationServerName")
	if err != nil || name == "forged" {
		t.Errorf("status was written with the object: %q, %v", name, err)
	}
}

func TestTenantCannotCreateAGrantOfItsOwn(t *testing.T) {
	malloryIsAdmin(t)
	_, err := as(t, mallory, "oauthgrants", "mallory").Create(t.Context(), grant("forged"), metav1.CreateOptions{})
	refusedByPolicy(t, err, "OAuthGrants exist in namespace latchkey-system only")
	_, err = as(t, "", "oauthgrants", operatorNamespace).Create(t.Context(), grant("forged"), metav1.CreateOptions{})
	refusedByPolicy(t, err, "only Latchkey writes OAuthGrants")
}

func TestServerWritesGrantsAndAnybodyAllowedDeletesThem(t *testing.T) {
	server, admin := as(t, serverAccount, "oauthgrants", operatorNamespace), as(t, "", "oauthgrants", operatorNamespace)
	made, err := server.Create(t.Context(), grant("made"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	revoke := []byte(`{"status":{"revokedAt":"2026-01-01T00:00:00Z","revokedReason":"CodeReplayed"}}`)
	if _, err := server.Patch(t.Context(), "made", types.MergePatchType, revoke, metav1.PatchOptions{}, "status"); err != nil {
		t.Errorf("the server could not revoke: %v", err)
	}
	rewrite := []byte(`{"status":{"revokedReason":"Another"}}`)
	_, err = admin.Patch(t.Context(), "made", types.MergePatchType, rewrite, metav1.PatchOptions{}, "status")
	refusedByPolicy(t, err, "only Latchkey writes the status of oauthgrants")

	for _, patch := range []string{`{"metadata":{"labels":{"a":"b"}}}`, `{"metadata":{"annotations":{"a":"b"}}}`} {
		_, err := admin.Patch(t.Context(), "made", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		refusedByPolicy(t, err, "only Latchkey writes OAuthGrants")
	}
	if err := admin.Delete(t.Context(), made.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Errorf("an administrator could not revoke by deletion: %v", err)
	}
}

func TestGarbageCollectorWorksOnGrants(t *testing.T) {
	server, admin := as(t, serverAccount, "oauthgrants", operatorNamespace), as(t, "", "oauthgrants", operatorNamespace)
	if _, err := server.Create(t.Context(), grant("collected"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// The garbage collector itself removes the finalizer that this puts on the object.
	foreground := metav1.DeletePropagationForeground
	if err := admin.Delete(t.Context(), "collected", metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deletion in the foreground", func(ctx context.Context) bool {
		_, err := admin.Get(ctx, "collected", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}
