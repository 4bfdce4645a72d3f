package crd

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const signOutResource = "oauthsignouts"

// signOuts is a sign-out as the server writes it.
func signOuts() kind {
	return kind{kind: "OAuthSignOut", resource: signOutResource, namespace: operatorNamespace, good: `
authorizationServerName: default
user: {name: alice, uid: 66666666-7777-8888-9999-000000000000}
sessionID: AAAAAAAAAAAAAAAAAAAAAA
signedOutAt: "2026-01-01T00:00:00.000001Z"
expiresAt: "2026-01-01T12:00:00Z"
`}
}

func TestSignOutRules(t *testing.T) {
	signOuts().check(t, []rule{
		{name: "good"},
		{name: "everywhere", patch: `{sessionID: null}`},
		{name: "no user", patch: `{user: null}`, message: "user: Required value"},
		{name: "no time", patch: `{signedOutAt: null}`, message: "signedOutAt: Required value"},
		{name: "no expiry", patch: `{expiresAt: null}`, message: "expiresAt: Required value"},
		{name: "an empty session", patch: `{sessionID: ""}`, message: "spec.sessionID"},
	})
}

// Whoever signs out again makes it later, never earlier, and of nobody else.
func TestSignOutOnlyMovesOn(t *testing.T) {
	server := as(t, serverAccount, signOutResource, operatorNamespace)
	if _, err := server.Create(t.Context(), signOuts().object(t, "moves", ""), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	patch := func(status string) error {
		_, err := server.Patch(t.Context(), "moves", types.MergePatchType, []byte(`{"status":`+status+`}`), metav1.PatchOptions{}, "status")
		return err
	}
	if err := patch(`{"signedOutAt":"2026-01-01T01:00:00.000000Z","expiresAt":"2026-01-01T13:00:00Z"}`); err != nil {
		t.Error(err)
	}
	for _, earlier := range []string{`null`, `{"signedOutAt":"2026-01-01T00:59:59.999999Z"}`, `{"expiresAt":"2026-01-01T12:00:00Z"}`, `{"signedOutAt":null,"expiresAt":null}`} {
		judge(t, patch(earlier), "a sign-out can't be put back in time")
	}
	judge(t, patch(`{"expiresAt":null}`), "signedOutAt and expiresAt come together")
	_, err := as(t, "", signOutResource, operatorNamespace).
		Patch(t.Context(), "moves", types.MergePatchType, []byte(`{"spec":{"user":{"name":"bob"}}}`), metav1.PatchOptions{})
	judge(t, err, "a sign-out can't be changed")
}

// Tenants who may do everything in their namespace, and administrators, sign nobody out, nor in again.
func TestOnlyTheServerWritesSignOuts(t *testing.T) {
	malloryIsAdmin(t)
	forged := signOuts().object(t, "forged", "")
	forged.SetNamespace("mallory")
	_, err := as(t, mallory, signOutResource, "mallory").Create(t.Context(), forged, metav1.CreateOptions{})
	refusedByPolicy(t, err, "OAuthSignOuts exist in namespace latchkey-system only")
	admin := as(t, "", signOutResource, operatorNamespace)
	_, err = admin.Create(t.Context(), signOuts().object(t, "forged", ""), metav1.CreateOptions{})
	refusedByPolicy(t, err, "only Latchkey writes OAuthSignOuts")
}
