package crd

import (
	"strings"
	"testing"
)

func oauthClient() kind {
	return kind{kind: "OAuthClient", resource: "oauthclients", namespace: "default", good: `
authorizationServerName: default
displayName: Storefront
type: Confidential
redirectURIs: [https://shop.example/callback]
grantTypes: [authorization_code]
scopes: [openid, profile]
resources: [{namespace: shop, name: orders, scopes: [orders.read]}]
authentication: {clientSecret: {source: Generated, secretName: storefront-oauth}}
`}
}

func TestOAuthClientRules(t *testing.T) {
	oauthClient().check(t, []rule{
		{name: "good"},
		{name: "public", patch: `{type: Public, authentication: null}`},
		{name: "existing secret", patch: `{authentication: {clientSecret: {source: Existing}}}`},
		{name: "public with authentication", patch: `{type: Public}`, message: "a Public client has no authentication; remove it, or set type: Confidential"},
		{name: "confidential without authentication", patch: `{authentication: null}`, message: "a Confidential client needs authentication, such as authentication: {clientSecret: {source: Generated, secretName: <name>}}"},
		{name: "no redirect URI", patch: `{redirectURIs: null}`, message: "grant type authorization_code needs at least one entry in redirectURIs"},
		{name: "empty list of redirect URIs", patch: `{redirectURIs: []}`, message: "grant type authorization_code needs at least one entry in redirectURIs"},
		{name: "long name", objectName: strings.Repeat("a", 64), message: "the name of an OAuthClient has at most 63 characters"},
		{name: "no grant type", patch: `{grantTypes: []}`, message: "should have at least 1 items"},
		{name: "implicit grant", patch: `{grantTypes: [implicit]}`, message: "Unsupported value"},
		{name: "no type", patch: `{type: null}`, message: "type: Required value"},
		{name: "a scope nobody knows", patch: `{scopes: [admin]}`, message: "Unsupported value"},
		{name: "a resource twice", patch: `{resources: [{namespace: a, name: b, scopes: [c]}, {namespace: a, name: b, scopes: [d]}]}`, message: "Duplicate value"},
		{name: "a resource without scopes", patch: `{resources: [{namespace: a, name: b, scopes: []}]}`, message: "should have at least 1 items"},
		{name: "a resource without namespace", patch: `{resources: [{name: b, scopes: [c]}]}`, message: "namespace: Required value"},
		{name: "1,000 redirect URIs", patch: `{redirectURIs: [` + strings.Repeat(`"https://shop.example/",`, 1000) + `]}`, message: "must have at most 32 items"},
		{name: "a redirect URI too long", patch: `{redirectURIs: ["https://shop.example/` + strings.Repeat("a", 600) + `"]}`, message: "may not be more than 512"},
		{name: "a redirect URI twice", patch: `{redirectURIs: ["https://shop.example/", "https://shop.example/"]}`, message: "Duplicate value"},
	})
}

func TestOAuthClientRedirectURIRules(t *testing.T) {
	const (
		absolute = "a redirect URI must be an absolute URI with a lower-case scheme, such as https://shop.example/callback"
		forbid   = "a redirect URI must have no fragment, wildcard, backslash, space or non-ASCII character; list every URI"
		host     = "an http or https redirect URI must have a host of letters, digits, dots, dashes and underscores, and may have a port of 5 digits at most"
		userinfo = "a redirect URI must have no user information before its host"
		loopback = "an http redirect URI must have the host localhost, 127.0.0.1 or [::1]; use https"
		reverse  = "a private-use scheme must be a reverse domain name, such as com.example.app:/callback"
	)
	rows := []struct{ uri, message string }{
		{"https://shop.example/callback", ""},
		{"https://shop.example", ""},
		{"https://shop.example:8443/callback?state=kept&x=%20y", ""},
		{"https://[2001:db8::1]/callback", ""},
		{"https://shop.example/mail@home", ""},
		{"http://localhost:20005/callback", ""},
		{"http://127.0.0.1/callback", ""},
		{"http://[::1]:9000/callback", ""},
		{"com.example.app:/callback", ""},
		{"com.example.app://callback", ""},
		{"shop.example/callback", absolute},
		{"/callback", absolute},
		{"//shop.example/callback", absolute},
		{"HTTPS://shop.example/callback", absolute},
		{"https://shop.example/callback#", forbid},
		{"https://shop.example/#fragment", forbid},
		{"https://*.shop.example/callback", forbid},
		{`https://shop.example\@evil.example/`, forbid},
		{"https://shop.example/call back", forbid},
		{"https://shöp.example/callback", forbid},
		{"https:///callback", host},
		{"https:/callback", host},
		{"https:callback", host},
		{"https://shop.example;x/callback", host}, // the page's policy could not name it
		{"https://shop.example,evil.example/callback", host},
		{"https://shop.example:123456/callback", host},
		{"https://me@shop.example/", userinfo},
		{"https://me:secret@shop.example/", userinfo},
		{"https://shop.example:secret@evil.example/", userinfo},
		{"com.example.app://me@callback", userinfo},
		{"http://shop.example/callback", loopback},
		{"http://localhost.shop.example/callback", loopback},
		{"http://127.0.0.1.shop.example/", loopback},
		{"http://127.0.0.10/", loopback},
		{"javascript:alert(1)", reverse},
		{"data:text/html,hello", reverse},
		{"file:///etc/passwd", reverse},
		{"myapp://callback", reverse},
		{"blob:https://shop.example/", reverse},
	}
	var rules []rule
	for _, row := range rows {
		rules = append(rules,
			rule{name: row.uri, patch: `{redirectURIs: ['` + row.uri + `']}`, message: row.message},
			rule{name: "after logout " + row.uri, patch: `{logout: {postLogoutRedirectURIs: ['` + row.uri + `']}}`, message: row.message})
	}
	oauthClient().check(t, rules)
}

func TestOAuthClientSecretRules(t *testing.T) {
	const (
		written = "labels and annotations are for source: Generated; an Existing Secret is never written"
		which   = "keys may rename client-id, client-secret and issuer only"
		form    = "a key of a Secret has 1 to 64 letters, digits, dots, dashes or underscores"
		differ  = "keys must be renamed to different names, none of them type, provider, uri or .latchkey"
	)
	secret := func(fields string) string { return `{authentication: {clientSecret: ` + fields + `}}` }
	oauthClient().check(t, []rule{
		{name: "keys, labels, annotations", patch: secret(`{keys: {client-id: CLIENT_ID, client-secret: CLIENT_SECRET, issuer: ISSUER}, labels: {a: b}, annotations: {c: d}}`)},
		{name: "keys of an existing one", patch: secret(`{source: Existing, keys: {client-secret: password}}`)},
		{name: "labels on an existing one", patch: secret(`{source: Existing, labels: {a: b}}`), message: written},
		{name: "annotations on an existing one", patch: secret(`{source: Existing, annotations: {a: b}}`), message: written},
		{name: "another key", patch: secret(`{keys: {password: PASSWORD}}`), message: which},
		{name: "a key with a space", patch: secret(`{keys: {client-id: "CLIENT ID"}}`), message: form},
		{name: "an empty key", patch: secret(`{keys: {client-id: ""}}`), message: form},
		{name: "two keys renamed to one", patch: secret(`{keys: {client-id: a, client-secret: a}}`), message: differ},
		{name: "a key renamed to type", patch: secret(`{keys: {client-id: type}}`), message: differ},
		{name: "a key renamed to provider", patch: secret(`{keys: {client-id: provider}}`), message: differ},
		{name: "a key renamed to uri", patch: secret(`{keys: {client-id: uri}}`), message: differ},
		{name: "a key renamed to where Latchkey keeps what else it knows", patch: secret(`{keys: {client-id: .latchkey}}`), message: differ},
		{name: "a key renamed to another's name", patch: secret(`{keys: {client-id: client-secret}}`), message: differ},
		{name: "two keys swapped", patch: secret(`{keys: {client-id: client-secret, client-secret: client-id}}`)},
		{name: "no Secret's name", patch: secret(`{secretName: ""}`), message: "should be at least 1 chars long"},
		{name: "a Secret's name with a capital", patch: secret(`{secretName: Storefront}`), message: "the name of a Secret has lower-case letters, digits"},
		{name: "a Secret's name with a path", patch: secret(`{secretName: "../shop/secret"}`), message: "the name of a Secret has lower-case letters, digits"},
		{name: "a Secret's name with dots", patch: secret(`{secretName: a.b-c.d}`)},
		{name: "a label's value with a space", patch: secret(`{labels: {a: "b c"}}`), message: "should match"},
		{name: "a namespace of another team", patch: secret(`{namespace: other}`), message: "unknown field"},
	})
}

func TestOAuthClientSecretRotationRules(t *testing.T) {
	const (
		interval = "interval must be between 1m and 87600h"
		overlap  = "overlap must be between 10s and 87600h"
		exceeds  = "overlap must not exceed interval"
		brought  = "rotation.interval is for source: Generated; an Existing Secret rotates when you change it"
	)
	secret := func(fields string) string { return `{authentication: {clientSecret: ` + fields + `}}` }
	oauthClient().check(t, []rule{
		{name: "interval and overlap", patch: secret(`{rotation: {interval: 720h, overlap: 24h}}`)},
		{name: "interval alone", patch: secret(`{rotation: {interval: 1m}}`)},
		{name: "overlap alone", patch: secret(`{rotation: {overlap: 10s}}`)},
		{name: "overlap as long as interval", patch: secret(`{rotation: {interval: 1h, overlap: 60m}}`)},
		{name: "overlap longer than interval", patch: secret(`{rotation: {interval: 1h, overlap: 61m}}`), message: exceeds},
		{name: "a short interval", patch: secret(`{rotation: {interval: 59s}}`), message: interval},
		{name: "a long interval", patch: secret(`{rotation: {interval: 87601h}}`), message: interval},
		{name: "no overlap to speak of", patch: secret(`{rotation: {overlap: 9s}}`), message: overlap},
		{name: "a long overlap", patch: secret(`{rotation: {overlap: 87601h}}`), message: overlap},
		{name: "days", patch: secret(`{rotation: {interval: 30d}}`), message: "should match"},
		{name: "rotation of nothing", patch: secret(`{rotation: {}}`), message: "should have at least 1 properties"},
		{name: "overlap of a brought secret", patch: secret(`{source: Existing, rotation: {overlap: 1h}}`)},
		{name: "interval of a brought secret", patch: secret(`{source: Existing, rotation: {interval: 1h}}`), message: brought},
		{name: "revoked", patch: secret(`{revoked: [abcdefgh234567aa]}`)},
		{name: "revoked twice", patch: secret(`{revoked: [abcdefgh234567aa, abcdefgh234567aa]}`), message: "Duplicate value"},
		{name: "revoked, but no id", patch: secret(`{revoked: [the-client-secret-itself]}`), message: "should match"},
		{name: "1,000 revoked", patch: secret(`{revoked: [` + strings.Repeat("abcdefgh234567aa,", 1000) + `]}`), message: "must have at most 32 items"},
	})
}
