package oauth

import "strings"

// The identity scopes (OpenID Connect Core sections 3.1.2.1 and 5.4) and the scope of kube-apiserver's tokens.
const (
	ScopeOpenID  = "openid"
	ScopeProfile = "profile"
	ScopeEmail   = "email"
	ScopeGroups  = "groups"
	ScopeAddress = "address"
	ScopePhone   = "phone"
	// ScopeOfflineAccess asks for a refresh token (OpenID Connect Core section 11).
	ScopeOfflineAccess = "offline_access"
	// ScopeKubernetes is the one scope of the built-in resource that stands for kube-apiserver.
	ScopeKubernetes = "kubernetes"
)

// Response types and modes (RFC 6749, OAuth 2.0 Form Post Response Mode).
const (
	ResponseTypeCode     = "code"
	ResponseModeQuery    = "query"
	ResponseModeFormPost = "form_post"
)

// Grant types (RFC 6749, RFC 8628 section 3.4, RFC 8693 section 2.1).
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// Methods of client authentication (OpenID Connect Core section 9), and the type of an assertion (RFC 7523 section 2.2).
const (
	AuthMethodNone          = "none"
	AuthMethodSecretBasic   = "client_secret_basic"
	AuthMethodSecretPost    = "client_secret_post"
	AuthMethodPrivateKeyJWT = "private_key_jwt"
	// AuthMethodServiceAccount is a ServiceAccount's token as assertion (RFC 7523). No registry has a name for it: this one stands in
	// the audit and never in metadata.
	AuthMethodServiceAccount = "service_account"
	AssertionTypeJWTBearer   = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// Token types, and the one code challenge method (RFC 6749, RFC 7636).
const (
	ChallengeMethodS256 = "S256"
	TokenTypeBearer     = "Bearer"
)

// Types of tokens in a token exchange (RFC 8693 section 3): access tokens of the issuer, and the JWTs that ServiceAccounts have.
const (
	TokenTypeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	TokenTypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
)

// Media types, and the types of JWTs (RFC 7519 section 5.1).
const (
	FormMediaType    = "application/x-www-form-urlencoded"
	JWTMediaType     = "application/jwt"
	TypJWT           = "JWT"
	TypAccessToken   = "at+jwt"                  // RFC 9068 section 2.1
	TypLogoutToken   = "logout+jwt"              // OpenID Connect Back-Channel Logout section 2.4
	TypIntrospection = "token-introspection+jwt" // RFC 9701 section 4
)

// TokenTypes are the types of all JWTs that are issued.
func TokenTypes() []string {
	return []string{TypJWT, TypAccessToken, TypLogoutToken, TypIntrospection}
}

// EventBackChannelLogout is the event that makes a logout token (OpenID Connect Back-Channel Logout section 2.4).
const EventBackChannelLogout = "http://schemas.openid.net/event/backchannel-logout"

// Prompt values (OpenID Connect Core section 3.1.2.1).
const (
	PromptNone          = "none"
	PromptLogin         = "login"
	PromptConsent       = "consent"
	PromptSelectAccount = "select_account"
)

// SplitScope splits a scope parameter (RFC 6749 section 3.3) and drops repetitions, keeping the order.
func SplitScope(scope string) []string {
	var out []string
	seen := map[string]bool{}
	for s := range strings.FieldsSeq(scope) {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// JoinScope is the inverse of SplitScope.
func JoinScope(scopes []string) string { return strings.Join(scopes, " ") }

// WellFormedScope says whether a scope parameter holds only what it may (RFC 6749 section 3.3: %x21 / %x23-5B / %x5D-7E and spaces).
func WellFormedScope(scope string) bool {
	return !strings.ContainsFunc(scope, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' })
}
