package compile

import (
	"testing"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// found are OAuthClients by namespace and name.
type found map[string]*v1alpha1.OAuthClient

func (f found) OAuthClient(namespace, name string) *v1alpha1.OAuthClient {
	return f[namespace+"/"+name]
}

func TestClientsThatAnAPINamesInVain(t *testing.T) {
	m := newMemory(t)
	const grant = "urn:ietf:params:oauth:grant-type:token-exchange"
	clients := found{
		"shop/api":       m.client(t, "shop", "api", `{type: Confidential, grantTypes: ["`+grant+`", client_credentials]}`),
		"shop/app":       m.client(t, "shop", "app", `{type: Public, grantTypes: [authorization_code]}`),
		"shop/nightly":   m.client(t, "shop", "nightly", `{type: Confidential, grantTypes: [client_credentials]}`),
		"shop/elsewhere": m.client(t, "shop", "elsewhere", `{type: Confidential, authorizationServerName: other, grantTypes: ["`+grant+`"]}`),
		"web/stranger":   m.client(t, "web", "stranger", `{type: Confidential, grantTypes: ["`+grant+`"]}`),
	}
	const exchange, introspect = "spec.tokenExchange.clients names OAuthClient ", "spec.introspection.clients names OAuthClient "
	for text, want := range map[string]string{
		`{}`:                                    "",
		`{tokenExchange: {clients: [api]}}`:     "",
		`{introspection: {clients: [api]}}`:     "",
		`{introspection: {clients: [nightly]}}`: "",
		`{tokenExchange: {clients: [elsewhere]}, authorizationServerNames: [default, other]}`: "",
		`{tokenExchange: {clients: [apy]}}`:                                                   v1alpha1.ReasonRefNotFound + exchange + "apy, which does not exist",
		`{tokenExchange: {clients: [api, stranger]}}`:                                         v1alpha1.ReasonRefNotFound + exchange + "stranger, which does not exist",
		`{tokenExchange: {clients: [app]}}`:                                                   v1alpha1.ReasonRefNotUsable + exchange + "app, which is Public",
		`{tokenExchange: {clients: [nightly]}}`:                                               v1alpha1.ReasonRefNotUsable + exchange + "nightly, which does not have " + grant,
		`{tokenExchange: {clients: [elsewhere]}}`:                                             v1alpha1.ReasonRefNotUsable + exchange + "elsewhere, which is a client of AuthorizationServer other",
		`{introspection: {clients: [api, gone]}}`:                                             v1alpha1.ReasonRefNotFound + introspect + "gone, which does not exist",
		`{introspection: {clients: [app]}}`:                                                   v1alpha1.ReasonRefNotUsable + introspect + "app, which is Public",
	} {
		rs := &v1alpha1.ResourceServer{ObjectMeta: m.meta("shop", "orders"), Spec: spec[v1alpha1.ResourceServerSpec](t, text)}
		problems := UnresolvedClients(clients, rs)
		if want == "" && len(problems) == 0 {
			continue
		}
		if len(problems) != 1 || problems[0].Condition != v1alpha1.ConditionResolvedRefs || want == "" || len(want) > len(problems[0].Reason+problems[0].Message) ||
			(problems[0].Reason + problems[0].Message)[:len(want)] != want {
			t.Errorf("%s: %+v, want %q", text, problems, want)
		}
	}
}
