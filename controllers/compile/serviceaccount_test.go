package compile

import (
	"encoding/base64"
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

func accounts(typ, names string) string {
	return `{type: ` + typ + `, grantTypes: [client_credentials], authentication: {serviceAccount: {names: [` + names + `]}}}`
}

func TestServiceAccountsAreTheCredential(t *testing.T) {
	if c := compiled(t, accounts("Confidential", "storefront, storefront-canary")); !slices.Equal(c.ServiceAccounts, []string{"storefront", "storefront-canary"}) || c.Assertion != nil {
		t.Errorf("%+v", c)
	}
	if c := compiled(t, basic); len(c.ServiceAccounts) > 0 {
		t.Errorf("a client with a secret: %+v", c)
	}
	m := newMemory(t)
	c := m.client(t, "shop", "storefront", accounts("Confidential", "storefront"))
	c.Status.Secrets = []v1alpha1.ClientSecretStatus{{ID: "a", Digest: base64.RawURLEncoding.EncodeToString(make([]byte, 32))}}
	if _, client, p := OAuthClient(m, c); client == nil || len(client.Secrets) > 0 {
		t.Errorf("a digest kept in status: %v %v", client, p)
	}
}

// CEL refuses such objects; one that was stored before it did is not honoured all the same.
func TestServiceAccountsThatCannotBeTheCredential(t *testing.T) {
	m := newMemory(t)
	for _, names := range []string{"default", "storefront, default"} {
		_, client, problems := OAuthClient(m, m.client(t, "shop", "storefront", accounts("Confidential", names)))
		if client != nil || !has(problems, v1alpha1.ReasonInvalid, "make a ServiceAccount for the client") || !problems[0].Terminal {
			t.Errorf("%s: %v %v", names, client, problems)
		}
	}
	for name, text := range map[string]string{
		"a public client": accounts("Public", "storefront"),
		"beside a secret": `{type: Confidential, grantTypes: [client_credentials], authentication: {serviceAccount: {names: [storefront]}, clientSecret: {source: Generated, secretName: a}}}`,
		"beside keys":     `{type: Confidential, grantTypes: [client_credentials], authentication: {serviceAccount: {names: [storefront]}, privateKeyJWT: {jwksURI: "https://shop.example/jwks"}}}`,
	} {
		if _, client, problems := OAuthClient(m, m.client(t, "shop", "storefront", text)); client == nil || len(client.ServiceAccounts) > 0 {
			t.Errorf("%s: %v %v", name, client, problems)
		}
	}
}
