package oauth

import "strings"

// The identity scopes (OpenID Connect Core sections 3.1.2.1 and 5.4) and the scope of kube-apiserver's tokens.
const (
	ScopeOpenID  = "openid"
	ScopeProfile = "profile"
	ScopeEmail   = "email"
	ScopeGroups  = "groups"
	// ScopeKubernetes is the one scope of the built-in resource that stands for kube-apiserver.
	ScopeKubernetes = "kubernetes"
)

// Response types, grant types, token types and methods (RFC 6749, RFC 7636).
const (
	ResponseTypeCode       = "code"
	GrantAuthorizationCode = "authorization_code"
	ChallengeMethodS256    = "S256"
	TokenTypeBearer        = "Bearer"
	AuthMethodNone         = "none"
	AuthMethodSecretBasic  = "client_secret_basic"
	AuthMethodSecretPost   = "client_secret_post"
)

// Media types, and the types of JWTs (RFC 7519 section 5.1).
const (
	FormMediaType  = "application/x-www-form-urlencoded"
	TypAccessToken = "at+jwt" // RFC 9068 section 2.1
	TypJWT         = "JWT"
)

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
