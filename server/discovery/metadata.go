package discovery

import (
	"encoding/json"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// metadata is RFC 8414 section 2, OpenID Connect Discovery section 3, and RFC 9207 section 3. It says what is supported and
// nothing else.
type metadata struct {
	Issuer                                 string           `json:"issuer"`
	AuthorizationEndpoint                  string           `json:"authorization_endpoint"`
	TokenEndpoint                          string           `json:"token_endpoint"`
	UserinfoEndpoint                       string           `json:"userinfo_endpoint"`
	JWKSURI                                string           `json:"jwks_uri"`
	ScopesSupported                        []string         `json:"scopes_supported"`
	ResponseTypesSupported                 []string         `json:"response_types_supported"`
	ResponseModesSupported                 []string         `json:"response_modes_supported"`
	GrantTypesSupported                    []string         `json:"grant_types_supported"`
	SubjectTypesSupported                  []string         `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported       []keys.Algorithm `json:"id_token_signing_alg_values_supported"`
	TokenEndpointAuthMethodsSupported      []string         `json:"token_endpoint_auth_methods_supported"`
	CodeChallengeMethodsSupported          []string         `json:"code_challenge_methods_supported"`
	ClaimTypesSupported                    []string         `json:"claim_types_supported"`
	ClaimsSupported                        []string         `json:"claims_supported"`
	ACRValuesSupported                     []string         `json:"acr_values_supported"`
	PromptValuesSupported                  []string         `json:"prompt_values_supported"`
	ClaimsParameterSupported               bool             `json:"claims_parameter_supported"`
	RequestParameterSupported              bool             `json:"request_parameter_supported"`
	RequestURIParameterSupported           bool             `json:"request_uri_parameter_supported"`
	AuthorizationResponseIssParamSupported bool             `json:"authorization_response_iss_parameter_supported"`
}

// marshalMetadata makes the document. Scopes of resource servers are not listed: which ones a client may ask for is
// between it and their owners.
func marshalMetadata(c *registry.Config) ([]byte, error) {
	return json.Marshal(metadata{
		Issuer:                            c.URL,
		AuthorizationEndpoint:             c.Endpoint("/authorize"),
		TokenEndpoint:                     c.Endpoint("/token"),
		UserinfoEndpoint:                  c.Endpoint("/userinfo"),
		JWKSURI:                           c.Endpoint("/jwks"),
		ScopesSupported:                   []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeGroups},
		ResponseTypesSupported:            []string{oauth.ResponseTypeCode},
		ResponseModesSupported:            []string{"query"},
		GrantTypesSupported:               []string{oauth.GrantAuthorizationCode},
		SubjectTypesSupported:             []string{"public"},
		IDTokenSigningAlgValuesSupported:  c.Algorithms,
		TokenEndpointAuthMethodsSupported: []string{oauth.AuthMethodSecretBasic, oauth.AuthMethodSecretPost, oauth.AuthMethodNone},
		CodeChallengeMethodsSupported:     []string{oauth.ChallengeMethodS256},
		ClaimTypesSupported:               []string{"normal"},
		ClaimsSupported: []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr", "sid",
			"name", "preferred_username", "email", "email_verified", "groups"},
		ACRValuesSupported: []string{token.ACRPassword},
		PromptValuesSupported: []string{oauth.PromptNone, oauth.PromptLogin, oauth.PromptConsent,
			oauth.PromptSelectAccount},
		AuthorizationResponseIssParamSupported: true,
	})
}
