package crd

import (
	"strings"
	"testing"
)

func resourceServer() kind {
	return kind{kind: "ResourceServer", resource: "resourceservers", namespace: "default", good: `
authorizationServerNames: [default, local]
identifier: https://orders.shop.svc
displayName: Orders
scopes:
- {name: orders.read, description: See your orders}
- {name: orders.write, description: Place and cancel orders, requiredGroups: [buyers]}
accessToken: {lifetime: 10m, signingAlgorithm: ES256}
access:
- {namespaceSelector: {matchLabels: {team: web}}, clients: [storefront], scopes: [orders.read]}
`}
}

func TestResourceServerRules(t *testing.T) {
	const (
		https    = "identifier must be an https URL, such as https://orders.shop.svc"
		forbid   = "identifier must have no fragment, query, user, wildcard or backslash"
		plain    = "identifier must have a lower-case host and a plain path"
		segments = "identifier must have no . or .. path segments"
	)
	resourceServer().check(t, []rule{
		{name: "good"},
		{name: "nothing but an identifier", patch: `{authorizationServerNames: null, displayName: null, scopes: null, accessToken: null, access: null}`},
		{name: "path", patch: `{identifier: "https://orders.shop.svc/v1/a.b"}`},
		{name: "port and slash", patch: `{identifier: "https://orders.shop.svc:8443/"}`},
		{name: "no URL", patch: `{identifier: orders.shop.svc}`, message: https},
		{name: "http", patch: `{identifier: "http://orders.shop.svc"}`, message: https},
		{name: "no host", patch: `{identifier: "https:///orders"}`, message: https},
		{name: "fragment", patch: `{identifier: "https://orders.shop.svc#a"}`, message: forbid},
		{name: "query", patch: `{identifier: "https://orders.shop.svc?a=b"}`, message: forbid},
		{name: "user", patch: `{identifier: "https://me@orders.shop.svc"}`, message: forbid},
		{name: "wildcard", patch: `{identifier: "https://orders.shop.svc/*"}`, message: forbid},
		{name: "backslash", patch: `{identifier: 'https://orders.shop.svc/\a'}`, message: forbid},
		{name: "upper-case host", patch: `{identifier: "https://Orders.shop.svc"}`, message: plain},
		{name: "space", patch: `{identifier: "https://orders.shop.svc/a b"}`, message: "identifier must"},
		{name: "dot segments", patch: `{identifier: "https://orders.shop.svc/../a"}`, message: segments},
		{name: "dot segment at the end", patch: `{identifier: "https://orders.shop.svc/a/.."}`, message: segments},
		{name: "long name", objectName: strings.Repeat("a", 64), message: "the name of a ResourceServer has at most 63 characters"},
		{name: "lifetime too long", patch: `{accessToken: {lifetime: 25h}}`, message: "lifetime must be between 30s and 24h"},
		{name: "lifetime too short", patch: `{accessToken: {lifetime: 1s}}`, message: "lifetime must be between 30s and 24h"},
		{name: "introspection", patch: `{introspection: {clients: [gateway, storefront]}}`},
		{name: "introspection by nobody", patch: `{introspection: {clients: []}}`, message: "should have at least 1 items"},
		{name: "introspection by 33 clients", patch: `{introspection: {clients: [` + strings.Repeat("a,", 33) + `]}}`, message: "must have at most 32 items"},
		{name: "introspection by a path", patch: `{introspection: {clients: [web/storefront]}}`, message: "clients are names of OAuthClients in the ResourceServer's own namespace"},
		{name: "introspection by all", patch: `{introspection: {clients: ["*"]}}`, message: "clients are names of OAuthClients in the ResourceServer's own namespace"},
		{name: "introspection by clients elsewhere", patch: `{introspection: {clients: [{namespace: web, name: storefront}]}}`, message: "unknown field"},
		{name: "token exchange", patch: `{tokenExchange: {clients: [orders-api, orders.worker]}}`},
		{name: "token exchange by nobody", patch: `{tokenExchange: {clients: []}}`, message: "should have at least 1 items"},
		{name: "token exchange by everybody", patch: `{tokenExchange: {clients: ["*"]}}`, message: "clients are names of OAuthClients in the ResourceServer's own namespace, such as orders-api"},
		{name: "token exchange by 33 clients", patch: `{tokenExchange: {clients: [` + strings.Repeat("a,", 33) + `]}}`, message: "must have at most 32 items"},
		{name: "token exchange by clients elsewhere", patch: `{tokenExchange: {clients: [{namespace: web, name: storefront}]}}`, message: "unknown field"},
		{name: "issuer named twice", patch: `{authorizationServerNames: [a, a]}`, message: "Duplicate value"},
	})
}

func TestResourceServerScopeRules(t *testing.T) {
	const (
		token     = "a scope's name is printable ASCII without spaces, quotes or backslashes"
		notTheirs = "are not a ResourceServer's to define"
	)
	rules := []rule{
		{name: "every character allowed", patch: `{scopes: [{name: "a!#$%&'()*+,-./:;<=>?@[]^_` + "`" + `{|}~Z9", description: All}]}`},
		{name: "space", patch: `{scopes: [{name: "a b", description: Two words}]}`, message: token},
		{name: "quote", patch: `{scopes: [{name: 'a"b', description: A quote}]}`, message: token},
		{name: "backslash", patch: `{scopes: [{name: 'a\b', description: A backslash}]}`, message: token},
		{name: "not ASCII", patch: `{scopes: [{name: "lesen-ä", description: An umlaut}]}`, message: token},
		{name: "control character", patch: `{scopes: [{name: "a\u0007", description: A bell}]}`, message: token},
		{name: "no description", patch: `{scopes: [{name: orders.read}]}`, message: "description: Required value"},
		{name: "empty description", patch: `{scopes: [{name: orders.read, description: ""}]}`, message: "should be at least 1 chars long"},
		{name: "defined twice", patch: `{scopes: [{name: a, description: One}, {name: a, description: Two}]}`, message: "Duplicate value"},
		{name: "1,000 scopes", patch: `{scopes: [` + strings.Repeat(`{name: a, description: A},`, 1000) + `]}`, message: "must have at most 100 items"},
		{name: "access for no client", patch: `{access: [{namespaceSelector: {}, clients: [], scopes: ["*"]}]}`, message: "should have at least 1 items"},
		{name: "access without scopes", patch: `{access: [{namespaceSelector: {}, clients: ["*"]}]}`, message: "scopes: Required value"},
		{name: "access without namespaces", patch: `{access: [{clients: ["*"], scopes: ["*"]}]}`, message: "namespaceSelector: Required value"},
		{name: "access for all", patch: `{access: [{namespaceSelector: {}, clients: ["*"], scopes: ["*"]}]}`},
	}
	for _, name := range []string{"openid", "profile", "email", "address", "phone", "groups", "offline_access", "kubernetes", "*"} {
		rules = append(rules, rule{name: "reserved " + name, patch: `{scopes: [{name: "` + name + `", description: Mine}]}`, message: notTheirs})
	}
	resourceServer().check(t, rules)
}

func TestResourceServerChanges(t *testing.T) {
	resourceServer().checkChanges(t, []change{
		{name: "another identifier", after: `{identifier: "https://other.shop.svc"}`, message: "identifier can't be changed, for tokens name it; create another ResourceServer"},
		{name: "another scope", after: `{scopes: [{name: a, description: A}]}`},
	})
}
