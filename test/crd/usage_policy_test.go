package crd

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// whole is a status that has every field of an OAuthClient's but secretUsage.
func whole() map[string]any {
	return map[string]any{
		"observedGeneration":      int64(1),
		"clientID":                "mallory.mallory-app",
		"authorizationServerName": "default",
		"secrets":                 []any{map[string]any{"id": "one", "digest": "a", "createdAt": "2026-01-01T00:00:00Z"}},
		"lastHandledRotation":     "once",
		"relaxations":             []any{"PKCEOptional"},
		"conditions": []any{map[string]any{
			"type": "Ready", "status": "False", "reason": "Broken", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
		}},
	}
}

// another is, for each of those fields, another value.
func another() map[string]any {
	return map[string]any{
		"observedGeneration":      int64(2),
		"clientID":                "shop.storefront",
		"authorizationServerName": "local",
		"secrets":                 []any{map[string]any{"id": "one", "digest": "forged", "createdAt": "2026-01-01T00:00:00Z"}},
		"lastHandledRotation":     "twice",
		"relaxations":             []any{"RefreshTokenRotationNever"},
		"conditions": []any{map[string]any{
			"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
		}},
	}
}

func statusPatch(t *testing.T, status any) []byte {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		t.Fatal(err)
	}
	return patch
}

// The server faces the network. What it may write of a client's status is when secrets were used, and no field else.
func TestServerWritesNothingOfAClientsStatusButUsage(t *testing.T) {
	malloryIsAdmin(t)
	const refused = "latchkey-server writes nothing of the status of oauthclients but secretUsage"
	controller, server := as(t, controllerAccount, "oauthclients", "mallory"), as(t, serverAccount, "oauthclients", "mallory")
	write := func(status any) error {
		_, err := server.Patch(t.Context(), malloryClient, types.MergePatchType, statusPatch(t, status), metav1.PatchOptions{}, "status")
		return err
	}
	reset := func(status any) {
		t.Helper()
		for _, body := range []any{nil, status} {
			if _, err := controller.Patch(t.Context(), malloryClient, types.MergePatchType, statusPatch(t, body), metav1.PatchOptions{}, "status"); err != nil {
				t.Fatal(err)
			}
		}
	}
	usage := func(at string) map[string]any {
		return map[string]any{"secretUsage": []any{map[string]any{"id": "one", "lastUsedTime": at}}}
	}
	for name, status := range map[string]any{"no status": nil, "every field": whole()} {
		reset(status)
		for what, change := range map[string]any{
			"first": usage("2026-01-01T00:00:00Z"), "later": usage("2026-01-02T00:00:00Z"), "none": map[string]any{"secretUsage": nil},
		} {
			if err := write(change); err != nil {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	for _, definition := range definitions(t) {
		if definition.Spec.Names.Plural != "oauthclients" {
			continue
		}
		fields := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["status"].Properties
		for field := range fields {
			if _, listed := whole()[field]; !listed && field != "secretUsage" {
				t.Errorf("status.%s is not tried here", field)
			}
		}
	}
	for field := range whole() {
		smuggled := func(value any) map[string]any {
			change := usage("2026-01-03T00:00:00Z")
			change[field] = value
			return change
		}
		reset(whole())
		refusedByPolicy(t, write(smuggled(another()[field])), refused)
		refusedByPolicy(t, write(smuggled(nil)), refused)
		without := maps.Clone(whole())
		delete(without, field)
		reset(without)
		refusedByPolicy(t, write(smuggled(whole()[field])), refused)
	}
	refusedByPolicy(t, write(nil), refused)
}

// RBAC alone gives the server no status of other kinds. Should somebody bind it to more, the policy still refuses.
func TestServerWritesNoStatusOfOtherKinds(t *testing.T) {
	apply(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: every-status}
rules: [{apiGroups: [oauth.latchkey.io], resources: ["*/status"], verbs: [patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: every-status}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: every-status}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: "`+serverAccount+`"}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: AuthorizationServer
metadata: {name: of-usage}
spec: {issuer: "https://usage.example.com"}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: LocalUser
metadata: {name: of-usage}
spec: {}
`)
	patch := func(ctx context.Context, plural string) error {
		_, err := as(t, serverAccount, plural, "").Patch(ctx, "of-usage", types.MergePatchType, []byte(`{"status":{"observedGeneration":7}}`), metav1.PatchOptions{}, "status")
		return err
	}
	mayByRBAC := func(ctx context.Context) bool {
		err := patch(ctx, "localusers")
		return err == nil || strings.Contains(err.Error(), "ValidatingAdmissionPolicy")
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, args := range [][]string{{"clusterrolebinding/every-status", "clusterrole/every-status"}, {"authorizationserver/of-usage", "localuser/of-usage"}} {
			if _, _, err := cluster.Kubectl(ctx, append([]string{"delete"}, args...)...); err != nil {
				t.Error(err)
			}
		}
		err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) { return !mayByRBAC(ctx), nil })
		if err != nil {
			t.Errorf("the server keeps the rights: %v", err)
		}
	})
	eventually(t, "RBAC lets the server write every status", mayByRBAC)
	for _, plural := range []string{"authorizationservers", "localusers"} {
		refusedByPolicy(t, patch(t.Context(), plural), "latchkey-server writes nothing of the status of "+plural)
	}
}
