package discovery

import (
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// metadata is RFC 8414 section 2, OpenID Connect Discovery section 3, RP-Initiated Logout section 2.1, Back-Channel Logout section
// 2.1, RFC 8628 section 4, RFC 9207 section 3 and RFC 9701 section 7. It says what is supported and nothing else.
type metadata struct {
	Issuer                                 string           `json:"issuer"`
	AuthorizationEndpoint                  string           `json:"authorization_endpoint"`
	TokenEndpoint                          string           `json:"token_endpoint"`
	UserinfoEndpoint                       string           `json:"userinfo_endpoint"`
	JWKSURI                                string           `json:"jwks_uri"`
	IntrospectionEndpoint                  string           `json:"introspection_endpoint,omitempty"`
	RevocationEndpoint                     string           `json:"revocation_endpoint,omitempty"`
	EndSessionEndpoint                     string           `json:"end_session_endpoint,omitempty"`
	DeviceAuthorizationEndpoint            string           `json:"device_authorization_endpoint,omitempty"`
	ScopesSupported                        []string         `json:"scopes_supported"`
	ResponseTypesSupported                 []string         `json:"response_types_supported"`
	ResponseModesSupported                 []string         `json:"response_modes_supported"`
	GrantTypesSupported                    []string         `json:"grant_types_supported"`
	SubjectTypesSupported                  []string         `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported       []keys.Algorithm `json:"id_token_signing_alg_values_supported"`
	UserinfoSigningAlgValuesSupported      []keys.Algorithm `json:"userinfo_signing_alg_values_supported"`
	IntrospectionSigningAlgValues          []keys.Algorithm `json:"introspection_signing_alg_values_supported,omitempty"`
	TokenEndpointAuthMethodsSupported      []string         `json:"token_endpoint_auth_methods_supported"`
	TokenEndpointAuthSigningAlgValues      []keys.Algorithm `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionEndpointAuthMethods       []string         `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	IntrospectionEndpointAuthSigningAlgs   []keys.Algorithm `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationEndpointAuthMethods          []string         `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	RevocationEndpointAuthSigningAlgs      []keys.Algorithm `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	CodeChallengeMethodsSupported          []string         `json:"code_challenge_methods_supported"`
	ClaimTypesSupported                    []string         `json:"claim_types_supported"`
	ClaimsSupported                        []string         `json:"claims_supported"`
	ACRValuesSupported                     []string         `json:"acr_values_supported"`
	PromptValuesSupported                  []string         `json:"prompt_values_supported"`
	ClaimsParameterSupported               bool             `json:"claims_parameter_supported"`
	RequestParameterSupported              bool             `json:"request_parameter_supported"`
	RequestURIParameterSupported           bool             `json:"request_uri_parameter_supported"`
	AuthorizationResponseIssParamSupported bool             `json:"authorization_response_iss_parameter_supported"`
	BackChannelLogoutSupported             bool             `json:"backchannel_logout_supported,omitempty"`
	BackChannelLogoutSessionSupported      bool             `json:"backchannel_logout_session_supported,omitempty"`
}

// describe makes the metadata of an issuer. Scopes of resource servers are not listed: which ones a client may ask for is
// between it and their owners.
func (h *Handler) describe(c *registry.Config) *metadata {
	m := &metadata{
		Issuer:                            c.URL,
		AuthorizationEndpoint:             c.Endpoint("/authorize"),
		TokenEndpoint:                     c.Endpoint("/token"),
		UserinfoEndpoint:                  c.Endpoint("/userinfo"),
		JWKSURI:                           c.Endpoint("/jwks"),
		ScopesSupported:                   scopes(),
		ResponseTypesSupported:            []string{oauth.ResponseTypeCode},
		ResponseModesSupported:            []string{oauth.ResponseModeQuery, oauth.ResponseModeFormPost},
		GrantTypesSupported:               []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantClientCredentials, oauth.GrantTokenExchange},
		SubjectTypesSupported:             []string{"public", "pairwise"},
		IDTokenSigningAlgValuesSupported:  c.Algorithms,
		UserinfoSigningAlgValuesSupported: c.Algorithms,
		TokenEndpointAuthMethodsSupported: append(provenMethods(), oauth.AuthMethodNone),
		TokenEndpointAuthSigningAlgValues: keys.VerifiedAlgorithms(),
		CodeChallengeMethodsSupported:     []string{oauth.ChallengeMethodS256},
		ClaimTypesSupported:               []string{"normal"},
		ClaimsSupported:                   append([]string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr", "sid"}, token.ClaimNames()...),
		ACRValuesSupported:                []string{token.ACRPassword},
		PromptValuesSupported: []string{oauth.PromptNone, oauth.PromptLogin, oauth.PromptConsent,
			oauth.PromptSelectAccount},
		ClaimsParameterSupported:               true,
		AuthorizationResponseIssParamSupported: true,
	}
	h.describeOptional(m, c)
	return m
}

// describeOptional adds what not every server has.
func (h *Handler) describeOptional(m *metadata, c *registry.Config) {
	if h.serves(Introspection) {
		m.IntrospectionEndpoint = c.Endpoint(Introspection)
		m.IntrospectionSigningAlgValues = []keys.Algorithm{token.IntrospectionAlgorithm(c)}
		// Clients, and services with a ServiceAccount's token (RFC 8414 section 2: a registered access token type).
		m.IntrospectionEndpointAuthMethods = append(provenMethods(), oauth.TokenTypeBearer)
		m.IntrospectionEndpointAuthSigningAlgs = keys.VerifiedAlgorithms()
	}
	if h.serves(Revocation) {
		m.RevocationEndpoint = c.Endpoint(Revocation)
		m.RevocationEndpointAuthMethods = append(provenMethods(), oauth.AuthMethodNone)
		m.RevocationEndpointAuthSigningAlgs = keys.VerifiedAlgorithms()
	}
	if h.serves(EndSession) {
		m.EndSessionEndpoint = c.Endpoint(EndSession)
		m.BackChannelLogoutSupported, m.BackChannelLogoutSessionSupported = true, true
	}
	if h.serves(DeviceAuthorization) {
		m.DeviceAuthorizationEndpoint = c.Endpoint(DeviceAuthorization)
		m.GrantTypesSupported = append(m.GrantTypesSupported, oauth.GrantDeviceCode)
	}
}

func scopes() []string {
	return []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeAddress, oauth.ScopePhone, oauth.ScopeGroups,
		oauth.ScopeOfflineAccess}
}

// provenMethods are the methods of client authentication that prove something.
func provenMethods() []string {
	return []string{oauth.AuthMethodSecretBasic, oauth.AuthMethodSecretPost, oauth.AuthMethodPrivateKeyJWT}
}
