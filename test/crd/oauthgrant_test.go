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
issuedAt: "2026-01-01T00:00:30.000000Z"
expiresAt: "2026-01-01T01:00:00Z"
attempt: a
`}
	grants.check(t, []rule{
		{name: "good"},
		{name: "no user", patch: `{user: null}`, message: "user: Required value"},
		{name: "no expiry", patch: `{expiresAt: null}`, message: "expiresAt: Required value"},
		{name: "with refresh tokens", patch: `{refreshUntil: "2026-02-01T00:00:00Z"}`},
		{name: "with resources", patch: `{resources: [{identifier: "https://a.b.svc", scopes: [r]}, {identifier: "https://c.b.svc"}]}`},
		{name: "a resource twice", patch: `{resources: [{identifier: "https://a.b.svc"}, {identifier: "https://a.b.svc"}]}`, message: "Duplicate value"},
		{name: "a resource without a name", patch: `{resources: [{scopes: [r]}]}`, message: "identifier: Required value"},
		{name: "too many claims", patch: `{userinfoClaims: [` + strings.Repeat("a,", 40) + `]}`, message: "must have at most 32 items"},
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

// patchGrantStatus patches as the server: others may not write status at all.
func patchGrantStatus(t *testing.T, name, status string) error {
	t.Helper()
	_, err := as(t, serverAccount, "oauthgrants", operatorNamespace).Patch(t.Context(), name, types.MergePatchType, []byte(`{"status":`+status+`}`), metav1.PatchOptions{}, "status")
	return err
}

// createRefreshable makes a grant with refresh tokens.
func createRefreshable(t *testing.T, name string) {
	t.Helper()
	g := grant(name)
	g.Object["spec"].(map[string]any)["refreshUntil"] = "2026-02-01T00:00:00Z"
	if _, err := as(t, serverAccount, "oauthgrants", operatorNamespace).Create(t.Context(), g, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestGenerationNeverDecreases(t *testing.T) {
	createRefreshable(t, "rotated")
	const times = `,"rotatedAt":"2026-01-01T00:10:00Z","expiresAt":"2026-01-08T00:10:00Z"}`
	for _, step := range []struct{ status, message string }{
		{`{"generation":3` + times, "status.generation never decreases, and grows by one at a time"},
		{`{"generation":2}`, "rotatedAt and expiresAt come with generation"},
		{`{"generation":0` + times, "should be greater than or equal to 1"},
		{`{"generation":2` + times, ""},
		{`{"expiresAt":null}`, "rotatedAt and expiresAt come with generation"},
		{`{"rotatedAt":null}`, "rotatedAt and expiresAt come with generation"},
		{`{"generation":1}`, "status.generation never decreases, and grows by one at a time"},
		{`{"generation":null}`, "status.generation never decreases, and grows by one at a time"},
		{`null`, "status.generation never decreases, and grows by one at a time"},
		{`{"generation":4` + times, "status.generation never decreases, and grows by one at a time"},
		{`{"generation":2,"rotatedAt":"2026-01-02T00:00:00Z"}`, ""}, // renewed
		{`{"generation":3` + times, ""},                             // by a replica whose clock is behind
		{`{"revokedAt":"2026-01-01T01:00:00Z","revokedReason":"RefreshTokenReused"}`, ""},
		{`{"generation":4` + times, "a grant that is revoked is not refreshed"},
	} {
		judge(t, patchGrantStatus(t, "rotated", step.status), step.message)
	}
}

func TestAGrantWithoutRefreshTokensHasNoGeneration(t *testing.T) {
	if _, err := as(t, serverAccount, "oauthgrants", operatorNamespace).Create(t.Context(), grant("no-refresh"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, generation := range []string{"1", "2"} {
		err := patchGrantStatus(t, "no-refresh", `{"generation":`+generation+`,"rotatedAt":"2026-01-01T00:10:00Z","expiresAt":"2026-01-08T00:10:00Z"}`)
		judge(t, err, "a grant without spec.refreshUntil has no refresh tokens, and no status.generation")
	}
}

// Nobody but the server makes a refresh token good for longer.
func TestOnlyTheServerRotatesGrants(t *testing.T) {
	createRefreshable(t, "theirs")
	const rotation = `{"generation":2,"rotatedAt":"2026-01-01T00:10:00Z","expiresAt":"2026-01-08T00:10:00Z"}`
	for _, user := range []string{"", mallory} {
		malloryIsAdmin(t)
		_, err := as(t, user, "oauthgrants", operatorNamespace).Patch(t.Context(), "theirs", types.MergePatchType, []byte(`{"status":`+rotation+`}`), metav1.PatchOptions{}, "status")
		if err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("as %q: %v", user, err)
		}
	}
	if err := patchGrantStatus(t, "theirs", rotation); err != nil {
		t.Errorf("the server could not: %v", err)
	}
}
