package crd

import (
	"os"
	"path/filepath"
	"testing"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const healthPrefix = "resource.customizations.health.oauth.latchkey.io_"

// healthChecks are the Lua scripts for Argo CD, by kind.
func healthChecks(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "config", "argocd", "argocd-cm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var config corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{}
	for _, kind := range []string{"AuthorizationServer", "LocalUser", "OAuthClient", "ResourceServer"} {
		script, found := config.Data[healthPrefix+kind]
		if !found {
			t.Errorf("no health check for %s", kind)
		}
		scripts[kind] = script
	}
	return scripts
}

func TestArgoCDHealth(t *testing.T) {
	rows := []struct{ name, object, health, message string }{
		{"new", `{metadata: {generation: 1}}`, "Progressing", "Waiting for Latchkey"},
		{"not looked at yet", `{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "True", message: Ready}]}}`, "Progressing", "Waiting for Latchkey"},
		{"ready", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Accepted, status: "True"}, {type: Ready, status: "True", message: Ready}]}}`, "Healthy", "Ready"},
		{"waiting", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "False", message: "Secret x is waited for"}]}}`, "Progressing", "Secret x is waited for"},
		{"stalled", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "False", message: no}, {type: Stalled, status: "True", message: "mend it"}]}}`, "Degraded", "mend it"},
		{"mended", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Stalled, status: "False"}, {type: Ready, status: "True", message: Ready}]}}`, "Healthy", "Ready"},
	}
	for kind, script := range healthChecks(t) {
		for _, row := range rows {
			t.Run(kind+"/"+row.name, func(t *testing.T) {
				var object map[string]any
				if err := yaml.Unmarshal([]byte(row.object), &object); err != nil {
					t.Fatal(err)
				}
				health, message := runHealth(t, script, object)
				if health != row.health || message != row.message {
					t.Errorf("got %s, %q", health, message)
				}
			})
		}
	}
}

// runHealth runs a health check as Argo CD does: the object is the global obj, and a table is returned.
func runHealth(t *testing.T, script string, object map[string]any) (health, message string) {
	t.Helper()
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", luaValue(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("returned %v", state.Get(-1))
	}
	return table.RawGetString("status").String(), table.RawGetString("message").String()
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, member := range v {
			table.RawSetString(key, luaValue(state, member))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range v {
			table.Append(luaValue(state, item))
		}
		return table
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	}
	return lua.LNil
}
