package e2e

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// statusOf is a status, as text and without the times at which its conditions changed and its secrets were used.
func statusOf(ctx context.Context, t *testing.T, plural, namespace, name string) (string, error) {
	t.Helper()
	o, err := resource(plural, namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return told(t, o), nil
}

func told(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	var read struct {
		Status map[string]any `json:"status"`
	}
	if err := convert(o.Object, &read); err != nil {
		t.Fatal(err)
	}
	conditions, _ := read.Status["conditions"].([]any)
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok {
			delete(c, "lastTransitionTime")
		}
	}
	usage, _ := read.Status["secretUsage"].([]any)
	for _, u := range usage {
		if u, ok := u.(map[string]any); ok {
			delete(u, "lastUsedTime")
		}
	}
	return fmt.Sprint(read.Status) // maps are printed in the order of their keys
}

// A status that somebody wrote by hand is Latchkey's own again within seconds, for every kind that has conditions, whatever of it
// was changed.
func TestStatusWrittenByHandIsCorrectedForEveryKind(t *testing.T) {
	withoutPolicies(t)
	printShopIsTold(t)
	lie := `{"type":"Ready","status":"False","reason":"Broken","message":"by hand","lastTransitionTime":"2026-01-01T00:00:00Z"}`
	for _, o := range []struct{ plural, namespace, name, own string }{
		{"oauthclients", sampleNamespace, "print-shop", `"clientID":"someone.else"`},
		{"resourceservers", sampleNamespace, "photos", `"authorizationServerNames":["default","another"]`},
		{"authorizationservers", "", "local", `"default":true,"keys":[]`},
		{"localusers", "", "bob", `"observedGeneration":99`},
	} {
		t.Run(o.plural, func(t *testing.T) {
			honest, err := statusOf(t.Context(), t, o.plural, o.namespace, o.name)
			if err != nil {
				t.Fatal(err)
			}
			for what, patch := range map[string]string{
				"verdict": `{"status":{"conditions":[` + lie + `]}}`, "nothing left": `{"status":null}`, "generation": `{"status":{"observedGeneration":0}}`,
				"its own": `{"status":{` + o.own + `}}`, "another condition": `{"status":{"conditions":[` + lie + `,{"type":"Mine","status":"True","reason":"Mine","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
			} {
				written, err := resource(o.plural, o.namespace).Patch(t.Context(), o.name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if told(t, written) == honest {
					t.Fatalf("%s: nothing was changed by %s", what, patch)
				}
				var last string
				took := eventually(t, what+": the status is as it was", enforced, func(ctx context.Context) (ok bool, err error) {
					last, err = statusOf(ctx, t, o.plural, o.namespace, o.name)
					return last == honest, err
				})
				t.Logf("%s: corrected after %v", what, took)
			}
		})
	}
}
