package crd

import (
	"fmt"
	"strings"
	"testing"
)

func TestOAuthClientGrantTypeRules(t *testing.T) {
	const (
		renews       = "grant type refresh_token renews what another grant type gave; add authorization_code or urn:ietf:params:oauth:grant-type:device_code"
		credentials  = "grant type client_credentials is for type: Confidential only; a Public client has no credentials"
		offline      = "scope offline_access asks for a refresh token; add the grant type refresh_token, or leave the scope out"
		needsURI     = "grant type authorization_code needs at least one entry in redirectURIs"
		publicClient = "type: Public, authentication: null"
	)
	oauthClient().check(t, []rule{
		{name: "all", patch: `{grantTypes: [authorization_code, refresh_token, client_credentials, "urn:ietf:params:oauth:grant-type:device_code"]}`},
		{name: "refresh of a code", patch: `{grantTypes: [authorization_code, refresh_token]}`},
		{name: "refresh of a device's", patch: `{redirectURIs: null, grantTypes: [refresh_token, "urn:ietf:params:oauth:grant-type:device_code"]}`},
		{name: "device alone", patch: `{redirectURIs: null, grantTypes: ["urn:ietf:params:oauth:grant-type:device_code"]}`},
		{name: "client_credentials alone", patch: `{redirectURIs: null, grantTypes: [client_credentials]}`},
		{name: "a public device", patch: `{` + publicClient + `, redirectURIs: null, grantTypes: ["urn:ietf:params:oauth:grant-type:device_code", refresh_token]}`},
		{name: "refresh alone", patch: `{grantTypes: [refresh_token]}`, message: renews},
		{name: "refresh of client_credentials", patch: `{grantTypes: [refresh_token, client_credentials]}`, message: renews},
		{name: "a public client's credentials", patch: `{` + publicClient + `, grantTypes: [authorization_code, client_credentials]}`, message: credentials},
		{name: "token exchange alone", patch: `{redirectURIs: null, grantTypes: ["urn:ietf:params:oauth:grant-type:token-exchange"]}`},
		{name: "a public client's exchange", patch: `{` + publicClient + `, grantTypes: [authorization_code, "urn:ietf:params:oauth:grant-type:token-exchange"]}`,
			message: "grant type urn:ietf:params:oauth:grant-type:token-exchange is for type: Confidential only"},
		{name: "a code without redirect URI", patch: `{redirectURIs: null, grantTypes: [authorization_code, client_credentials]}`, message: needsURI},
		{name: "password", patch: `{grantTypes: [password]}`, message: "Unsupported value"},
		{name: "a grant type twice", patch: `{grantTypes: [authorization_code, authorization_code]}`, message: "Duplicate value"},
		{name: "every identity scope", patch: `{grantTypes: [authorization_code, refresh_token], scopes: [openid, profile, email, address, phone, groups, offline_access]}`},
		{name: "offline access that nothing renews", patch: `{scopes: [openid, offline_access]}`, message: offline},
	})
}

func TestOAuthClientRelaxationRules(t *testing.T) {
	const (
		pkce         = "pkce: Optional is for type: Confidential only; a Public client must use PKCE"
		rotation     = "refreshTokens: {rotation: Never} is for type: Confidential only; the refresh tokens of a Public client always rotate"
		publicClient = "type: Public, authentication: null"
	)
	oauthClient().check(t, []rule{
		{name: "PKCE optional", patch: `{pkce: Optional}`},
		{name: "PKCE required", patch: `{pkce: Required}`},
		{name: "PKCE required of a public client", patch: `{` + publicClient + `, pkce: Required}`},
		{name: "PKCE optional for a public client", patch: `{` + publicClient + `, pkce: Optional}`, message: pkce},
		{name: "no PKCE", patch: `{pkce: None}`, message: "Unsupported value"},
		{name: "no rotation", patch: `{refreshTokens: {rotation: Never}}`},
		{name: "rotation", patch: `{refreshTokens: {rotation: Always}}`},
		{name: "usual rotation", patch: `{refreshTokens: {}}`},
		{name: "rotation of a public client's", patch: `{` + publicClient + `, refreshTokens: {rotation: Always}}`},
		{name: "no rotation for a public client", patch: `{` + publicClient + `, refreshTokens: {rotation: Never}}`, message: rotation},
		{name: "rotation at times", patch: `{refreshTokens: {rotation: Sometimes}}`, message: "Unsupported value"},
	})
}

func TestOAuthClientSubjectTypeRules(t *testing.T) {
	const sector = "subjectType: Pairwise needs redirectURIs that are http or https and share one host, for which the subjects are made; remove the others, or set subjectType: Public"
	oauthClient().check(t, []rule{
		{name: "public", patch: `{subjectType: Public, redirectURIs: ["https://a.example/", "https://b.example/"]}`},
		{name: "pairwise", patch: `{subjectType: Pairwise}`},
		{name: "pairwise, one host", patch: `{subjectType: Pairwise, redirectURIs: ["https://shop.example/a", "https://SHOP.example:8443/b?c=d"]}`},
		{name: "pairwise, loopback", patch: `{subjectType: Pairwise, redirectURIs: ["http://127.0.0.1/a", "http://127.0.0.1:9000/b"]}`},
		{name: "pairwise, two hosts", patch: `{subjectType: Pairwise, redirectURIs: ["https://a.example/", "https://b.example/"]}`, message: sector},
		{name: "pairwise, a subdomain", patch: `{subjectType: Pairwise, redirectURIs: ["https://example/", "https://b.example/"]}`, message: sector},
		{name: "pairwise, a private-use scheme", patch: `{subjectType: Pairwise, redirectURIs: ["com.example.app:/callback"]}`, message: sector},
		{name: "pairwise without redirect URI", patch: `{subjectType: Pairwise, redirectURIs: null, grantTypes: [client_credentials]}`, message: sector},
		{name: "secret", patch: `{subjectType: Secret}`, message: "Unsupported value"},
	})
}

func TestOAuthClientTokenRules(t *testing.T) {
	var rules []rule
	for _, algorithm := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		rules = append(rules, rule{name: algorithm, patch: `{idToken: {signingAlgorithm: ` + algorithm + `}, userinfo: {signingAlgorithm: ` + algorithm + `}}`})
	}
	for _, algorithm := range []string{"none", "HS256", "RS384"} {
		rules = append(rules,
			rule{name: "ID token " + algorithm, patch: `{idToken: {signingAlgorithm: ` + algorithm + `}}`, message: "Unsupported value"},
			rule{name: "userinfo " + algorithm, patch: `{userinfo: {signingAlgorithm: ` + algorithm + `}}`, message: "Unsupported value"})
	}
	rules = append(rules,
		rule{name: "claims of scopes", patch: `{idToken: {claims: Scopes}}`},
		rule{name: "claims on request", patch: `{idToken: {claims: Requested}}`},
		rule{name: "all claims", patch: `{idToken: {claims: All}}`, message: "Unsupported value"})
	oauthClient().check(t, rules)
}

func TestOAuthClientAuthenticationRules(t *testing.T) {
	const (
		method  = "authentication needs exactly one method: clientSecret, privateKeyJWT or serviceAccount"
		keys    = "privateKeyJWT needs exactly one of jwks and jwksURI"
		https   = "jwksURI must be an https URL, such as https://shop.example/jwks.json"
		forbid  = "jwksURI must have no fragment, user information, backslash, space or non-ASCII character"
		tooLong = "may not be more than"
	)
	jwt := func(fields string) string {
		return `{authentication: {clientSecret: null, privateKeyJWT: ` + fields + `}}`
	}
	oauthClient().check(t, []rule{
		{name: "keys", patch: jwt(`{jwks: '{"keys":[]}'}`)},
		{name: "URI of keys", patch: jwt(`{jwksURI: "https://shop.example:8443/jwks.json?v=1"}`)},
		{name: "audience", patch: jwt(`{jwksURI: "https://shop.example/jwks.json", audience: IssuerOrTokenEndpoint}`)},
		{name: "the usual audience", patch: jwt(`{jwksURI: "https://shop.example/jwks.json", audience: Issuer}`)},
		{name: "no method", patch: `{authentication: {clientSecret: null}}`, message: method},
		{name: "two methods", patch: `{authentication: {privateKeyJWT: {jwks: '{"keys":[]}'}}}`, message: method},
		{name: "no keys", patch: jwt(`{}`), message: keys},
		{name: "keys in two ways", patch: jwt(`{jwks: '{"keys":[]}', jwksURI: "https://shop.example/jwks.json"}`), message: keys},
		{name: "another audience", patch: jwt(`{jwks: '{"keys":[]}', audience: Anybody}`), message: "Unsupported value"},
		{name: "empty keys", patch: jwt(`{jwks: ""}`), message: "should be at least 1 chars long"},
		{name: "endless keys", patch: jwt(`{jwks: "` + strings.Repeat("a", 16385) + `"}`), message: tooLong},
		{name: "an endless URI", patch: jwt(`{jwksURI: "https://shop.example/` + strings.Repeat("a", 512) + `"}`), message: tooLong},
		{name: "http", patch: jwt(`{jwksURI: "http://shop.example/jwks.json"}`), message: https},
		{name: "http on loopback", patch: jwt(`{jwksURI: "http://localhost/jwks.json"}`), message: https},
		{name: "no URL", patch: jwt(`{jwksURI: shop.example}`), message: https},
		{name: "no host", patch: jwt(`{jwksURI: "https:///jwks.json"}`), message: https},
		{name: "a fragment", patch: jwt(`{jwksURI: "https://shop.example/jwks.json#a"}`), message: forbid},
		{name: "a user", patch: jwt(`{jwksURI: "https://me@shop.example/jwks.json"}`), message: forbid},
		{name: "a backslash", patch: jwt(`{jwksURI: 'https://shop.example\@evil.example'}`), message: "jwksURI must"},
	})
}

func TestOAuthClientServiceAccountRules(t *testing.T) {
	const (
		method  = "authentication needs exactly one method: clientSecret, privateKeyJWT or serviceAccount"
		name    = "the name of a ServiceAccount has lower-case letters, digits, dashes and dots, and begins and ends with a letter or digit"
		nobody  = "ServiceAccount default can't be a client: every pod of the namespace that names no other one runs as it; make a ServiceAccount for the client"
		without = "a Public client has no authentication; remove it, or set type: Confidential"
	)
	account := func(fields string) string {
		return `{authentication: {clientSecret: null, serviceAccount: ` + fields + `}}`
	}
	many := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("storefront-%d", i))
		}
		return account(`{names: [` + strings.Join(names, ", ") + `]}`)
	}
	oauthClient().check(t, []rule{
		{name: "one", patch: account(`{names: [storefront]}`)},
		{name: "two", patch: account(`{names: [storefront, storefront.canary-2]}`)},
		{name: "as many as there may be", patch: many(16)},
		{name: "more", patch: many(17), message: "must have at most 16 items"},
		{name: "none", patch: account(`{names: []}`), message: "should have at least 1 items"},
		{name: "no names", patch: account(`{}`), message: "names: Required value"},
		{name: "one twice", patch: account(`{names: [a, a]}`), message: "Duplicate value"},
		{name: "default", patch: account(`{names: [default]}`), message: nobody},
		{name: "default among others", patch: account(`{names: [storefront, default]}`), message: nobody},
		{name: "another namespace's", patch: account(`{names: ["shop/storefront"]}`), message: name},
		{name: "a full username", patch: account(`{names: ["system:serviceaccount:shop:storefront"]}`), message: name},
		{name: "all", patch: account(`{names: ["*"]}`), message: name},
		{name: "a capital", patch: account(`{names: [Storefront]}`), message: name},
		{name: "empty", patch: account(`{names: [""]}`), message: "should be at least 1 chars long"},
		{name: "endless", patch: account(`{names: [` + strings.Repeat("a", 254) + `]}`), message: "may not be more than 253"},
		{name: "a namespace", patch: account(`{names: [storefront], namespace: other}`), message: "unknown field"},
		{name: "beside a client secret", patch: `{authentication: {serviceAccount: {names: [storefront]}}}`, message: method},
		{name: "beside keys", patch: `{authentication: {clientSecret: null, serviceAccount: {names: [storefront]}, privateKeyJWT: {jwks: '{"keys":[]}'}}}`, message: method},
		{name: "beside both", patch: `{authentication: {serviceAccount: {names: [storefront]}, privateKeyJWT: {jwks: '{"keys":[]}'}}}`, message: method},
		{name: "of a public client", patch: `{type: Public, authentication: {clientSecret: null, serviceAccount: {names: [storefront]}}}`, message: without},
	})
}

func TestOAuthClientLogoutRules(t *testing.T) {
	const (
		https  = "backChannelURI must be an https URL, such as https://shop.example/backchannel-logout (http is accepted for localhost, 127.0.0.1 and [::1] only)"
		forbid = "backChannelURI must have no fragment, user information, backslash, space or non-ASCII character"
	)
	var rules []rule
	for _, row := range []struct{ uri, message string }{
		{"https://shop.example/backchannel-logout", ""},
		{"https://shop.example:8443/logout?client=a", ""},
		{"http://localhost:20005/logout", ""},
		{"http://127.0.0.1:20005/logout", ""},
		{"http://[::1]:20005/logout", ""},
		{"http://shop.example/logout", https},
		{"http://localhost.shop.example/logout", https},
		{"com.example.app:/logout", https},
		{"shop.example/logout", https},
		{"https:///logout", https},
		{"https://shop.example/logout#a", forbid},
		{"https://shop.example/logout#", forbid},
		{"https://me@shop.example/logout", forbid},
		{`https://shop.example/\a`, forbid},
	} {
		rules = append(rules, rule{name: row.uri, patch: `{logout: {backChannelURI: '` + row.uri + `'}}`, message: row.message})
	}
	rules = append(rules, rule{name: "33 URIs after logout", patch: `{logout: {postLogoutRedirectURIs: [` + strings.Repeat(`"https://shop.example/",`, 33) + `]}}`, message: "must have at most 32 items"})
	oauthClient().check(t, rules)
}
