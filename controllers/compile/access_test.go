package compile

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// ruleIn is the rule that a message says would have to be added.
func ruleIn(t *testing.T, problems []Problem) v1alpha1.AccessRule {
	t.Helper()
	for _, p := range problems {
		if _, rule, found := strings.Cut(p.Message, "its owner would have to add to its spec.access: "); found && p.Reason == v1alpha1.ReasonRefNotPermitted {
			return spec[v1alpha1.AccessRule](t, rule)
		}
	}
	t.Fatalf("no message has a rule: %v", problems)
	return v1alpha1.AccessRule{}
}

// The rule in the message is YAML as it stands, whatever the names are, and allows what was asked for and nothing else.
func TestRuleInTheMessageIsTheOneThatIsMissing(t *testing.T) {
	for _, names := range []struct{ client, scope string }{
		{"storefront", "orders.read"}, {"0755", "1e3"}, {"true", "null"}, {"a.b-c", "orders:read"}, {"storefront", "[all],{x}:&*!|>'%@`#<~"},
	} {
		t.Run(names.client+" "+names.scope, func(t *testing.T) {
			m := newMemory(t)
			for _, namespace := range []string{"web", "blog"} {
				m.namespaces[namespace] = map[string]string{"oauth": "yes", corev1.LabelMetadataName: namespace}
			}
			rs := m.addResource(t, "shop", "orders", fmt.Sprintf(`{identifier: "https://orders.shop.svc", scopes: [{name: %q, description: One}, {name: other, description: Another}]}`, names.scope))
			asks := fmt.Sprintf(`{type: Public, grantTypes: [authorization_code], redirectURIs: [https://a.example], resources: [{namespace: shop, name: orders, scopes: [%q]}]}`, names.scope)
			c := m.client(t, "web", names.client, asks)
			_, _, problems := OAuthClient(m, c)
			rs.Spec.Access = append(rs.Spec.Access, ruleIn(t, problems))
			_, client, problems := OAuthClient(m, c)
			if len(problems) != 0 {
				t.Fatalf("with the rule: %v", problems)
			}
			if a, ok := client.AccessTo("https://orders.shop.svc"); !ok || len(a.Scopes) != 1 || a.Scopes[0].Name != names.scope {
				t.Errorf("with the rule, the client may have %+v", a)
			}
			for who, other := range map[string]*v1alpha1.OAuthClient{
				"another client":    m.client(t, "web", "another", asks),
				"another namespace": m.client(t, "blog", names.client, asks),
				"another scope":     m.client(t, "web", names.client, strings.Replace(asks, fmt.Sprintf("%q", names.scope), "other", 1)),
			} {
				if _, _, problems := OAuthClient(m, other); len(problems) == 0 {
					t.Errorf("%s is allowed by the rule, too", who)
				}
			}
		})
	}
}

// What isn't allowed and what doesn't exist are told at once.
func TestDeniedAndUnknownScopesAreToldTogether(t *testing.T) {
	m := newMemory(t)
	m.addResource(t, "shop", "orders", `{identifier: "https://orders.shop.svc", scopes: [{name: orders.read, description: See}]}`)
	_, _, problems := OAuthClient(m, m.client(t, "web", "storefront", storefront))
	if !has(problems, v1alpha1.ReasonRefNotPermitted, "orders.read") || !has(problems, v1alpha1.ReasonRefNotFound, "declares no scope [orders.write]") {
		t.Errorf("%v", problems)
	}
}
