package crd

import (
	"strings"
	"testing"
)

func authorizationServer() kind {
	return kind{kind: "AuthorizationServer", resource: "authorizationservers", good: `
issuer: https://login.example.com
displayName: Example
allowedNamespaces: {selector: {matchLabels: {team: web}}}
resourceIdentifiers:
- {prefix: "https://api.example.com/", namespaceSelector: {}}
kubernetes: {audiences: [https://kubernetes.default.svc], usernamePrefix: "oauth:", groupsPrefix: "oauth:", clients: [{namespace: demo, name: kubectl}]}
signing: {algorithms: [ES256, RS256], rotation: {interval: 720h, publishAhead: 24h}}
lifetimes: {authorizationCode: 60s, accessToken: 10m, idToken: 10m, session: 12h}
storage: {valkey: {secretRef: {name: valkey}}}
`}
}

func TestAuthorizationServerRules(t *testing.T) {
	const (
		absolute = "issuer must be an absolute URL, such as https://login.example.com"
		scheme   = "issuer must start with https:// (http:// is accepted for localhost, 127.0.0.1 and [::1] only)"
		plain    = "issuer must have no query, fragment, user, percent-encoding or trailing slash"
		segments = "issuer must have a lower-case host and plain path segments"
		reserved = "issuer's path must not start with a reserved word"
	)
	authorizationServer().check(t, []rule{
		{name: "good"},
		{name: "nothing but an issuer", patch: `{displayName: null, allowedNamespaces: null, resourceIdentifiers: null, kubernetes: null, signing: null, lifetimes: null}`},
		{name: "issuer with path", patch: `{issuer: "https://login.example.com/team-a/b"}`},
		{name: "issuer with port", patch: `{issuer: "https://login.example.com:8443"}`},
		{name: "issuer whose path only begins like a reserved word", patch: `{issuer: "https://login.example.com/tokens"}`},
		{name: "http on localhost", patch: `{issuer: "http://localhost:20001"}`},
		{name: "http on 127.0.0.1", patch: `{issuer: "http://127.0.0.1:20001"}`},
		{name: "http on ::1", patch: `{issuer: "http://[::1]:20001"}`},
		{name: "issuer without scheme", patch: `{issuer: login.example.com}`, message: absolute},
		{name: "issuer without host", patch: `{issuer: "https:///path"}`, message: absolute},
		{name: "http elsewhere", patch: `{issuer: "http://login.example.com"}`, message: scheme},
		{name: "http on a host that begins like localhost", patch: `{issuer: "http://localhost.example.com"}`, message: scheme},
		{name: "another scheme", patch: `{issuer: "ftp://login.example.com"}`, message: scheme},
		{name: "query", patch: `{issuer: "https://login.example.com?a=b"}`, message: plain},
		{name: "fragment", patch: `{issuer: "https://login.example.com#a"}`, message: plain},
		{name: "user", patch: `{issuer: "https://me@login.example.com"}`, message: plain},
		{name: "percent-encoding", patch: `{issuer: "https://login.example.com/%61"}`, message: plain},
		{name: "trailing slash", patch: `{issuer: "https://login.example.com/"}`, message: plain},
		{name: "upper-case host", patch: `{issuer: "https://Login.example.com"}`, message: segments},
		{name: "empty segment", patch: `{issuer: "https://login.example.com//a"}`, message: segments},
		{name: "dot segment", patch: `{issuer: "https://login.example.com/../a"}`, message: segments},
		{name: "well-known path", patch: `{issuer: "https://login.example.com/.well-known/a"}`, message: segments},
		{name: "reserved path", patch: `{issuer: "https://login.example.com/token"}`, message: reserved},
		{name: "the path of device authorization", patch: `{issuer: "https://login.example.com/device_authorization"}`, message: reserved},
		{name: "below a reserved path", patch: `{issuer: "https://login.example.com/login/a"}`, message: reserved},
		{name: "too long", patch: `{issuer: "https://` + strings.Repeat("a", 300) + `"}`, message: "may not be more than 256"},
		{name: "long name", objectName: strings.Repeat("a", 64), message: "the name of an AuthorizationServer has at most 63 characters"},
		{name: "prefix without slash", patch: `{resourceIdentifiers: [{prefix: "https://api.example.com/orders", namespaceSelector: {}}]}`, message: "prefix must be an https URL with a lower-case host that ends with a slash"},
		{name: "prefix of http", patch: `{resourceIdentifiers: [{prefix: "http://api.example.com/", namespaceSelector: {}}]}`, message: "prefix must be an https URL with a lower-case host that ends with a slash"},
		{name: "prefix twice", patch: `{resourceIdentifiers: [{prefix: "https://a.example/", namespaceSelector: {}}, {prefix: "https://a.example/", namespaceSelector: {}}]}`, message: "Duplicate value"},
	})
}

func TestAuthorizationServerKubernetesRules(t *testing.T) {
	const (
		username = "usernamePrefix must be lower-case letters, digits, dots and dashes followed by one colon, and not system:"
		groups   = "groupsPrefix must be lower-case letters, digits, dots and dashes followed by one colon, and not system:"
	)
	authorizationServer().check(t, []rule{
		{name: "no prefixes", patch: `{kubernetes: {usernamePrefix: null, groupsPrefix: null}}`},
		{name: "system: users", patch: `{kubernetes: {usernamePrefix: "system:"}}`, message: username},
		{name: "system:x users", patch: `{kubernetes: {usernamePrefix: "system:x:"}}`, message: username},
		{name: "users without colon", patch: `{kubernetes: {usernamePrefix: "oauth"}}`, message: username},
		{name: "users with only a colon", patch: `{kubernetes: {usernamePrefix: ":"}}`, message: username},
		{name: "upper-case users", patch: `{kubernetes: {usernamePrefix: "OAuth:"}}`, message: username},
		{name: "system: groups", patch: `{kubernetes: {groupsPrefix: "system:"}}`, message: groups},
		{name: "system:x groups", patch: `{kubernetes: {groupsPrefix: "system:x:"}}`, message: groups},
		{name: "groups without colon", patch: `{kubernetes: {groupsPrefix: "oauth"}}`, message: groups},
		{name: "no audience", patch: `{kubernetes: {audiences: []}}`, message: "should have at least 1 items"},
		{name: "clients without namespace", patch: `{kubernetes: {clients: [{name: kubectl}]}}`, message: "namespace: Required value"},
	})
}

func TestAuthorizationServerDurationRules(t *testing.T) {
	authorizationServer().check(t, []rule{
		{name: "storage that is none", patch: `{storage: {valkey: null}}`, message: "spec.storage.valkey"},
		{name: "storage without Secret", patch: `{storage: {valkey: {secretRef: null}}}`, message: "secretRef"},
		{name: "storage with a Secret's path", patch: `{storage: {valkey: {secretRef: {name: "../keys"}}}}`, message: "the name of a Secret has"},
		{name: "compound duration", patch: `{lifetimes: {accessToken: 1h30m}}`},
		{name: "shortest code", patch: `{lifetimes: {authorizationCode: 5s}}`},
		{name: "code too long", patch: `{lifetimes: {authorizationCode: 61s}}`, message: "authorizationCode must be between 5s and 60s"},
		{name: "code too short", patch: `{lifetimes: {authorizationCode: 4s}}`, message: "authorizationCode must be between 5s and 60s"},
		{name: "access token too long", patch: `{lifetimes: {accessToken: 25h}}`, message: "accessToken must be between 30s and 24h"},
		{name: "access token too short", patch: `{lifetimes: {accessToken: 29s}}`, message: "accessToken must be between 30s and 24h"},
		{name: "ID token too long", patch: `{lifetimes: {idToken: 25h}}`, message: "idToken must be between 30s and 24h"},
		{name: "session too long", patch: `{lifetimes: {session: 721h}}`, message: "session must be between 1m and 720h"},
		{name: "session too short", patch: `{lifetimes: {session: 59s}}`, message: "session must be between 1m and 720h"},
		{name: "refreshing for a year", patch: `{lifetimes: {refreshToken: 8760h, refreshTokenIdle: 8760h}}`},
		{name: "shortest refreshing", patch: `{lifetimes: {refreshToken: 1m, refreshTokenIdle: 1m, deviceCode: 30s}}`},
		{name: "a day of refreshing", patch: `{lifetimes: {refreshToken: 24h}}`},
		{name: "a year without refreshing", patch: `{lifetimes: {refreshTokenIdle: 8760h}}`},
		{name: "refreshing for too long", patch: `{lifetimes: {refreshToken: 8761h}}`, message: "refreshToken must be between 1m and 8760h"},
		{name: "refreshing too shortly", patch: `{lifetimes: {refreshToken: 59s}}`, message: "refreshToken must be between 1m and 8760h"},
		{name: "idle for too long", patch: `{lifetimes: {refreshTokenIdle: 8761h}}`, message: "refreshTokenIdle must be between 1m and 8760h"},
		{name: "idle too shortly", patch: `{lifetimes: {refreshTokenIdle: 59s}}`, message: "refreshTokenIdle must be between 1m and 8760h"},
		{name: "idle for longer than refreshing", patch: `{lifetimes: {refreshToken: 24h, refreshTokenIdle: 25h}}`, message: "refreshTokenIdle must not exceed refreshToken"},
		{name: "device code too long", patch: `{lifetimes: {deviceCode: 61m}}`, message: "deviceCode must be between 30s and 1h"},
		{name: "device code too short", patch: `{lifetimes: {deviceCode: 29s}}`, message: "deviceCode must be between 30s and 1h"},
		{name: "no unit", patch: `{lifetimes: {session: "3600"}}`, message: "should match"},
		{name: "empty", patch: `{lifetimes: {session: ""}}`, message: "should match"},
		{name: "negative", patch: `{lifetimes: {session: -1h}}`, message: "should match"},
		{name: "enormous", patch: `{lifetimes: {session: 99999h99999h99999h99999h}}`, message: "session must be between 1m and 720h"},
		{name: "interval too short", patch: `{signing: {rotation: {interval: 59s, publishAhead: 10s}}}`, message: "interval must be between 1m and 87600h"},
		{name: "interval too long", patch: `{signing: {rotation: {interval: 87601h}}}`, message: "interval must be between 1m and 87600h"},
		{name: "published too late", patch: `{signing: {rotation: {publishAhead: 9s}}}`, message: "publishAhead must be between 10s and 87600h"},
		{name: "published before its predecessor", patch: `{signing: {rotation: {interval: 1h, publishAhead: 2h}}}`, message: "publishAhead must not exceed interval"},
		{name: "interval below the usual publishAhead", patch: `{signing: {rotation: {interval: 1h, publishAhead: null}}}`, message: "publishAhead must not exceed interval"},
		{name: "every algorithm", patch: `{signing: {algorithms: [ES256, RS256, PS256, EdDSA]}}`},
		{name: "an algorithm twice", patch: `{signing: {algorithms: [ES256, ES256]}}`, message: "Duplicate value"},
		{name: "unknown algorithm", patch: `{signing: {algorithms: [HS256]}}`, message: "Unsupported value"},
	})
}

func TestAuthorizationServerChanges(t *testing.T) {
	authorizationServer().checkChanges(t, []change{
		{name: "another issuer", after: `{issuer: "https://other.example.com"}`, message: "issuer can't be changed; create another AuthorizationServer"},
		{name: "another name to show", after: `{displayName: Other}`},
	})
}
