package crd

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

const deviceResource = "oauthdeviceauthorizations"

// devices is a device authorization as the server writes it.
func devices() kind {
	return kind{kind: "OAuthDeviceAuthorization", resource: deviceResource, namespace: operatorNamespace, good: `
authorizationServerName: default
clientID: demo.tv
clientUID: 11111111-2222-3333-4444-555555555555
id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
scopes: [openid]
resources: [{identifier: "https://photos.demo.svc", scopes: [photos.read]}]
source: 192.0.2.1
expiresAt: "2026-01-01T01:00:00Z"
`}
}

const approved = `{"decision":"Approved","decidedAt":"2026-01-01T00:00:00Z","user":{"name":"alice","uid":"u"},"scopes":["openid"]}`

func TestDeviceAuthorizationRules(t *testing.T) {
	devices().check(t, []rule{
		{name: "good"},
		{name: "no client", patch: `{clientID: null}`, message: "clientID: Required value"},
		{name: "no client UID", patch: `{clientUID: ""}`, message: "spec.clientUID"},
		{name: "no id", patch: `{id: null}`, message: "id: Required value"},
		{name: "no expiry", patch: `{expiresAt: null}`, message: "expiresAt: Required value"},
		{name: "too many scopes", patch: `{scopes: [` + strings.Repeat("a,", 200) + `]}`, message: "must have at most 128 items"},
		{name: "a resource twice", patch: `{resources: [{identifier: a}, {identifier: a}]}`, message: "Duplicate value"},
		{name: "source too long", patch: `{source: ` + strings.Repeat("a", 65) + `}`, message: "Too long"},
	})
}

// deviceOf makes a device authorization as the server.
func deviceOf(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	made, err := as(t, serverAccount, deviceResource, operatorNamespace).Create(t.Context(), devices().object(t, name, ""), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestDeviceAuthorizationCannotBeChanged(t *testing.T) {
	deviceOf(t, "fixed")
	_, err := as(t, "", deviceResource, operatorNamespace).
		Patch(t.Context(), "fixed", types.MergePatchType, []byte(`{"spec":{"scopes":["groups"]}}`), metav1.PatchOptions{})
	judge(t, err, "a device authorization can't be changed; delete it to deny it")
}

func TestDecisionIsFinal(t *testing.T) {
	deviceOf(t, "decided")
	patch := func(status string) error {
		_, err := as(t, serverAccount, deviceResource, operatorNamespace).
			Patch(t.Context(), "decided", types.MergePatchType, []byte(`{"status":`+status+`}`), metav1.PatchOptions{}, "status")
		return err
	}
	judge(t, patch(`{"decision":"Maybe","decidedAt":"2026-01-01T00:00:00Z","user":{"name":"alice","uid":"u"}}`), "Unsupported value")
	judge(t, patch(`{"decision":"Approved","decidedAt":"2026-01-01T00:00:00Z"}`), "a decision names the user and the time")
	judge(t, patch(`{"decision":"Denied","user":{"name":"alice","uid":"u"}}`), "a decision names the user and the time")
	if err := patch(approved); err != nil {
		t.Fatal(err)
	}
	for _, status := range []string{`null`, `{"decision":null}`, `{"decision":"Denied"}`, `{"user":{"name":"bob"}}`, `{"scopes":["openid","groups"]}`, `{"decidedAt":"2026-01-01T00:00:01Z"}`} {
		judge(t, patch(status), "a decision is final: status can't be changed or removed")
	}
}

// Tenants who may do everything in their namespace, and administrators, neither make a device authorization nor decide one.
func TestOnlyTheServerWritesDeviceAuthorizations(t *testing.T) {
	malloryIsAdmin(t)
	forged := devices().object(t, "forged", "")
	forged.SetNamespace("mallory")
	_, err := as(t, mallory, deviceResource, "mallory").Create(t.Context(), forged, metav1.CreateOptions{})
	refusedByPolicy(t, err, "OAuthDeviceAuthorizations exist in namespace latchkey-system only")
	admin := as(t, "", deviceResource, operatorNamespace)
	_, err = admin.Create(t.Context(), devices().object(t, "forged", ""), metav1.CreateOptions{})
	refusedByPolicy(t, err, "only Latchkey writes OAuthDeviceAuthorizations; delete one to deny it")
	deviceOf(t, "waiting")
	_, err = admin.Patch(t.Context(), "waiting", types.MergePatchType, []byte(`{"status":`+approved+`}`), metav1.PatchOptions{}, "status")
	refusedByPolicy(t, err, "only Latchkey writes the status of oauthdeviceauthorizations")
	if err := admin.Delete(t.Context(), "waiting", metav1.DeleteOptions{}); err != nil {
		t.Errorf("an administrator could not deny by deletion: %v", err)
	}
}
