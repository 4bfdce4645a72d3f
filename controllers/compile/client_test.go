package compile

import (
	"encoding/base64"
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

const (
	// basic is a confidential client of which nothing can go wrong.
	basic = `
type: Confidential
redirectURIs: [https://shop.example/callback]
grantTypes: [authorization_code]
authentication: {clientSecret: {source: Generated, secretName: storefront-oauth}}
`
	signing = `
type: Confidential
redirectURIs: [https://shop.example/callback]
grantTypes: [authorization_code]
authentication: {privateKeyJWT: `
	publicKey  = `{"kty":"EC","crv":"P-256","kid":"one","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	privateKey = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`
)

// compiled is a client of shop that must be accepted.
func compiled(t *testing.T, spec string) *registry.Client {
	t.Helper()
	m := newMemory(t)
	_, client, problems := OAuthClient(m, m.client(t, "shop", "storefront", spec))
	if client == nil || len(problems) > 0 {
		t.Fatalf("refused: %v", problems)
	}
	return client
}

func TestClientIsStrictByDefault(t *testing.T) {
	c := compiled(t, basic)
	if c.ProofKeyOptional || !c.RotateRefreshTokens || c.Sector != "" || c.Assertion != nil || c.UserinfoAlgorithm != "" || c.IDTokenClaimsRequested ||
		c.IDTokenAlgorithm != keys.RS256 || c.BackChannelLogoutURI != "" || len(c.PostLogoutRedirectURIs) > 0 {
		t.Errorf("%+v", c)
	}
}

func TestClientDeclares(t *testing.T) {
	for name, tc := range map[string]struct {
		spec string
		want func(*registry.Client) bool
	}{
		"no PKCE":     {basic + "pkce: Optional", func(c *registry.Client) bool { return c.ProofKeyOptional }},
		"PKCE":        {basic + "pkce: Required", func(c *registry.Client) bool { return !c.ProofKeyOptional }},
		"no rotation": {basic + "refreshTokens: {rotation: Never}", func(c *registry.Client) bool { return !c.RotateRefreshTokens }},
		"rotation":    {basic + "refreshTokens: {rotation: Always}", func(c *registry.Client) bool { return c.RotateRefreshTokens }},
		"algorithms": {basic + "idToken: {signingAlgorithm: ES256}\nuserinfo: {signingAlgorithm: RS256}",
			func(c *registry.Client) bool {
				return c.IDTokenAlgorithm == keys.ES256 && c.UserinfoAlgorithm == keys.RS256
			}},
		"claims on request": {basic + "idToken: {claims: Requested}", func(c *registry.Client) bool { return c.IDTokenClaimsRequested && c.IDTokenAlgorithm == keys.RS256 }},
		"claims by scope":   {basic + "idToken: {claims: Scopes}", func(c *registry.Client) bool { return !c.IDTokenClaimsRequested }},
		"pairwise subjects": {basic + "subjectType: Pairwise", func(c *registry.Client) bool { return c.Sector == "shop/shop.example" }},
		"public subjects":   {basic + "subjectType: Public", func(c *registry.Client) bool { return c.Sector == "" }},
		"logout": {basic + "logout: {postLogoutRedirectURIs: [\"https://shop.example/bye\"], backChannelURI: \"https://shop.example/logout\"}",
			func(c *registry.Client) bool {
				return c.BackChannelLogoutURI == "https://shop.example/logout" && len(c.PostLogoutRedirectURIs) == 1 && c.PostLogoutRedirectURIs[0].Matches("https://shop.example/bye")
			}},
		"grant types": {`{type: Confidential, grantTypes: [client_credentials, "urn:ietf:params:oauth:grant-type:device_code"], scopes: [address, phone, offline_access]}`,
			func(c *registry.Client) bool {
				return slices.Equal(c.GrantTypes, []string{"client_credentials", "urn:ietf:params:oauth:grant-type:device_code"}) &&
					slices.Equal(c.Scopes, []string{"address", "phone", "offline_access"})
			}},
		"keys": {signing + `{jwks: '{"keys":[` + publicKey + `]}'}}`, func(c *registry.Client) bool {
			return c.Assertion != nil && len(c.Assertion.Keys.Find("one", keys.ES256)) == 1 && c.Assertion.JWKSURI == "" && !c.Assertion.TokenEndpointAudience
		}},
		"the URI of keys": {signing + `{jwksURI: "https://shop.example/jwks", audience: IssuerOrTokenEndpoint}}`, func(c *registry.Client) bool {
			return c.Assertion != nil && c.Assertion.Keys == nil && c.Assertion.JWKSURI == "https://shop.example/jwks" && c.Assertion.TokenEndpointAudience
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c := compiled(t, tc.spec); !tc.want(c) {
				t.Errorf("%+v %+v", c, c.Assertion)
			}
		})
	}
}

func TestClientIsRefusedWhatCannotBe(t *testing.T) {
	for name, tc := range map[string]struct{ spec, says string }{
		"an ID token nobody can sign": {basic + "idToken: {signingAlgorithm: EdDSA}", "spec.idToken.signingAlgorithm EdDSA is not among those of AuthorizationServer default"},
		"userinfo nobody can sign":    {basic + "userinfo: {signingAlgorithm: PS256}", "spec.userinfo.signingAlgorithm PS256 is not among those of AuthorizationServer default"},
		"keys that are no JSON":       {signing + `{jwks: hello}}`, "jwks can't be used: not a JWK Set"},
		"no key":                      {signing + `{jwks: '{"keys":[]}'}}`, "jwks can't be used: the JWK Set has no signature key"},
		"a private key":               {signing + `{jwks: '{"keys":[` + privateKey + `]}'}}`, "declare public keys only"},
		"subjects for two hosts":      {`{type: Public, grantTypes: [authorization_code], subjectType: Pairwise, redirectURIs: ["https://shop.example/a", "https://other.example/a"]}`, "keep one host, or set subjectType: Public"},
		"subjects for no host":        {`{type: Public, grantTypes: [authorization_code], subjectType: Pairwise, redirectURIs: ["com.example.shop:/a"]}`, "remove it, or set subjectType: Public"},
		"subjects for nothing":        {`{type: Confidential, grantTypes: [client_credentials], subjectType: Pairwise}`, "add one, or set subjectType: Public"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			_, client, problems := OAuthClient(m, m.client(t, "shop", "storefront", tc.spec))
			if client != nil || !has(problems, v1alpha1.ReasonInvalid, tc.says) || !problems[0].Terminal || problems[0].Condition != v1alpha1.ConditionAccepted {
				t.Errorf("%v %v", client, problems)
			}
		})
	}
}

// CEL refuses such an object; one that was stored before it did gets no relaxation all the same.
func TestPublicClientIsNeverRelaxed(t *testing.T) {
	m := newMemory(t)
	c := m.client(t, "shop", "app", `
type: Public
redirectURIs: ["http://127.0.0.1/callback"]
grantTypes: [authorization_code, refresh_token]
pkce: Optional
refreshTokens: {rotation: Never}
logout: {postLogoutRedirectURIs: ["http://127.0.0.1/bye"]}
authentication: {privateKeyJWT: {jwksURI: "https://shop.example/jwks", audience: IssuerOrTokenEndpoint}}
`)
	_, client, _ := OAuthClient(m, c)
	if client == nil || client.ProofKeyOptional || !client.RotateRefreshTokens || client.Assertion != nil || len(Relaxations(c)) > 0 {
		t.Errorf("%+v", client)
	}
	if client.PostLogoutRedirectURIs[0].Matches("http://127.0.0.1:9000/bye") {
		t.Error("a URI after logout is not compared exactly")
	}
}

// Anybody may declare any host: whoever does so elsewhere must not learn by which sub a client of this namespace knows a user.
func TestSectorIsOfOneNamespace(t *testing.T) {
	m := newMemory(t)
	seen := map[string]string{}
	for _, namespace := range []string{"shop", "web"} {
		for name, host := range map[string]string{"a": "shop.example", "b": "SHOP.example:8443", "c": "other.example"} {
			_, client, p := OAuthClient(m, m.client(t, namespace, name, `{type: Public, grantTypes: [authorization_code], subjectType: Pairwise, redirectURIs: ["https://`+host+`/callback"]}`))
			if client == nil {
				t.Fatal(p)
			}
			seen[namespace+"/"+name] = client.Sector
		}
	}
	if seen["shop/a"] != seen["shop/b"] || seen["shop/a"] == seen["shop/c"] || seen["shop/a"] == seen["web/a"] {
		t.Errorf("%v", seen)
	}
}

func TestRelaxationsAreTold(t *testing.T) {
	m := newMemory(t)
	if got := Relaxations(m.client(t, "shop", "a", basic)); len(got) > 0 {
		t.Errorf("%v", got)
	}
	c := m.client(t, "shop", "b", signing+"{jwksURI: \"https://shop.example/jwks\", audience: IssuerOrTokenEndpoint}}\npkce: Optional\nrefreshTokens: {rotation: Never}")
	want := []v1alpha1.Relaxation{v1alpha1.RelaxedPKCE, v1alpha1.RelaxedAssertionAudience, v1alpha1.RelaxedRefreshTokenRotation}
	if got := Relaxations(c); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestSecretsCountOnlyWhereTheSpecHasThem(t *testing.T) {
	m := newMemory(t)
	stale := []v1alpha1.ClientSecretStatus{{ID: "a", Digest: base64.RawURLEncoding.EncodeToString(make([]byte, 32))}}
	for spec, want := range map[string]int{
		basic: 1,
		signing + `{jwksURI: "https://shop.example/jwks"}}`:                                               0,
		`{type: Public, redirectURIs: [https://shop.example/callback], grantTypes: [authorization_code]}`: 0,
	} {
		c := m.client(t, "shop", "storefront", spec)
		c.Status.Secrets = stale
		if _, client, p := OAuthClient(m, c); client == nil || len(client.Secrets) != want {
			t.Errorf("%s: %v %v", spec, client, p)
		}
	}
}
