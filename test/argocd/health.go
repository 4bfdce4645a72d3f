// Package argocd runs the health checks of config/argocd as Argo CD does, for tests.
package argocd

import (
	"fmt"
	"os"
	"path/filepath"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const healthPrefix = "resource.customizations.health.oauth.latchkey.io_"

// Check is a health check: a Lua script.
type Check string

// Checks are the health checks of the kinds that have conditions, by kind. root is the repository's. One that is missing is an error.
func Checks(root string) (map[string]Check, error) {
	text, err := os.ReadFile(filepath.Join(root, "config", "argocd", "argocd-cm.yaml"))
	if err != nil {
		return nil, err
	}
	var config corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return nil, err
	}
	checks := map[string]Check{}
	for _, kind := range []string{"AuthorizationServer", "LocalUser", "OAuthClient", "ResourceServer"} {
		script, found := config.Data[healthPrefix+kind]
		if !found {
			return nil, fmt.Errorf("no health check for %s", kind)
		}
		checks[kind] = Check(script)
	}
	return checks, nil
}

// Run judges an object: the script finds it as the global obj, and returns a table.
func (c Check) Run(object map[string]any) (health, message string, err error) {
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", luaValue(state, object))
	if err := state.DoString(string(c)); err != nil {
		return "", "", err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the health check returned %v", state.Get(-1))
	}
	return table.RawGetString("status").String(), table.RawGetString("message").String(), nil
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
	case int64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	}
	return lua.LNil
}
