package crd

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestGrantRules(t *testing.T) {
	grants := kind{kind: "OAuthGrant", resource: "oauthgrants", namespace: operatorNamespace, good: `
authorizationServerName: default
clientID: demo.print-shop
clientUID: 11111111-2222-3333-4444-555555555555
user: {name: alice, uid: 66666666-7777-8888-9999-000000000000}
authTime: "2026-01-01T00:00:00Z"
expiresAt: "2026-01-01T01:00:00Z"
attempt: a
`}
	grants.check(t, []rule{
		{name: "good"},
		{name: "no user", patch: `{user: null}`, message: "user: Required value"},
		{name: "no expiry", patch: `{expiresAt: null}`, message: "expiresAt: Required value"},
		{name: "too many scopes", patch: `{scopes: [` + strings.Repeat("a,", 200) + `]}`, message: "must have at most 128 items"},
	})
}

func TestGrantCannotBeChanged(t *testing.T) {
	grants := as(t, "", "oauthgrants", operatorNamespace)
	if _, err := as(t, serverAccount, "oauthgrants", operatorNamespace).Create(t.Context(), grant("fixed"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := grants.Patch(t.Context(), "fixed", types.MergePatchType, []byte(`{"spec":{"scopes":["photos.write"]}}`), metav1.PatchOptions{})
	judge(t, err, "a grant can't be changed; delete it to revoke it")
}

func TestRevocationIsFinal(t *testing.T) {
	grants := as(t, serverAccount, "oauthgrants", operatorNamespace) // others may not write status at all
	if _, err := grants.Create(t.Context(), grant("revoked"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	patch := func(status string) error {
		_, err := grants.Patch(t.Context(), "revoked", types.MergePatchType, []byte(`{"status":`+status+`}`), metav1.PatchOptions{}, "status")
		return err
	}
	if err := patch(`{"revokedAt":"2026-01-01T00:00:00Z","revokedReason":"CodeReplayed"}`); err != nil {
		t.Fatal(err)
	}
	for _, status := range []string{`null`, `{"revokedAt":null}`, `{"revokedAt":"2026-01-01T00:00:01Z"}`} {
		judge(t, patch(status), "a revocation is final: status.revokedAt can't be changed or removed")
	}
}
