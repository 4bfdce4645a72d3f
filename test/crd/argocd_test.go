package crd

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/test/argocd"
)

func TestArgoCDHealth(t *testing.T) {
	rows := []struct{ name, object, health, message string }{
		{"new", `{metadata: {generation: 1}}`, "Progressing", "Waiting for Latchkey"},
		{"as it was created", `{metadata: {generation: 1}, status: {observedGeneration: -1}}`, "Progressing", "Waiting for Latchkey"},
		{"not looked at yet", `{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "True", message: Ready}]}}`, "Progressing", "Waiting for Latchkey"},
		{"ready", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Accepted, status: "True"}, {type: Ready, status: "True", message: Ready}]}}`, "Healthy", "Ready"},
		{"waiting", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "False", message: "Secret x is waited for"}]}}`, "Progressing", "Secret x is waited for"},
		{"stalled", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "False", message: no}, {type: Stalled, status: "True", message: "mend it"}]}}`, "Degraded", "mend it"},
		{"mended", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Stalled, status: "False"}, {type: Ready, status: "True", message: Ready}]}}`, "Healthy", "Ready"},
	}
	checks, err := argocd.Checks(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for kind, check := range checks {
		for _, row := range rows {
			t.Run(kind+"/"+row.name, func(t *testing.T) {
				var object map[string]any
				if err := yaml.Unmarshal([]byte(row.object), &object); err != nil {
					t.Fatal(err)
				}
				health, message, err := check.Run(object)
				if err != nil || health != row.health || message != row.message {
					t.Errorf("got %s, %q, %v", health, message, err)
				}
			})
		}
	}
}
