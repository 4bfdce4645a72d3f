package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OAuthClient is an application that asks users for access (RFC 6749 section 2). Its client_id is <namespace>.<name>.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=oauth
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Client ID",type=string,JSONPath=`.status.clientID`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.status.authorizationServerName`
// +kubebuilder:printcolumn:name="Disabled",type=boolean,JSONPath=`.spec.disabled`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Refs",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].reason`,description="whether all that it names is there, and may be named",priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Secret Age",type=date,JSONPath=`.status.secrets[0].createdAt`,priority=1
// +kubebuilder:printcolumn:name="Relaxations",type=string,JSONPath=`.status.relaxations`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of an OAuthClient has at most 63 characters"
type OAuthClient struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec OAuthClientSpec `json:"spec"`
	// status is what the controller observed. Until it has looked, observedGeneration is -1: kstatus would take no status at all for success.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status OAuthClientStatus `json:"status,omitzero"`
}

// ClientType says whether a client can keep a credential confidential (RFC 6749 section 2.1).
// +kubebuilder:validation:Enum=Confidential;Public
type ClientType string

// The client types.
const (
	ClientConfidential ClientType = "Confidential"
	ClientPublic       ClientType = "Public"
)

// GrantType is a grant type that a client may use (RFC 6749 section 1.3).
// +kubebuilder:validation:Enum=authorization_code;refresh_token;client_credentials;"urn:ietf:params:oauth:grant-type:device_code";"urn:ietf:params:oauth:grant-type:token-exchange"
type GrantType string

// The grant types.
const (
	// GrantAuthorizationCode is the authorization code grant (RFC 6749 section 4.1), with PKCE S256 (RFC 7636).
	GrantAuthorizationCode GrantType = "authorization_code"
	// GrantRefreshToken lets the client renew what a user granted (RFC 6749 section 6).
	GrantRefreshToken GrantType = "refresh_token"
	// GrantClientCredentials gives the client tokens of its own, with no user (RFC 6749 section 4.4).
	GrantClientCredentials GrantType = "client_credentials"
	// GrantDeviceCode is for devices without a browser of their own (RFC 8628).
	GrantDeviceCode GrantType = "urn:ietf:params:oauth:grant-type:device_code"
	// GrantTokenExchange is for an API that calls another on behalf of whoever called it (RFC 8693).
	GrantTokenExchange GrantType = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// IdentityScope is a scope that tells the client about the user (OpenID Connect Core sections 5.4 and 11).
// +kubebuilder:validation:Enum=openid;profile;email;address;phone;groups;offline_access
type IdentityScope string

// PKCE says whether a client must use PKCE (RFC 7636).
// +kubebuilder:validation:Enum=Required;Optional
type PKCE string

// What a client may do about PKCE.
const (
	PKCERequired PKCE = "Required"
	PKCEOptional PKCE = "Optional"
)

// SubjectType says by which `sub` a client knows users (OpenID Connect Core section 8).
// +kubebuilder:validation:Enum=Public;Pairwise
type SubjectType string

// The subject types.
const (
	// SubjectPublic: the same sub for every client.
	SubjectPublic SubjectType = "Public"
	// SubjectPairwise: another sub for each namespace and host of redirect URIs, so that clients can't compare notes.
	SubjectPairwise SubjectType = "Pairwise"
)

// RedirectURI is where users are sent back to. It is compared exactly.
// +kubebuilder:validation:MinLength=4
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="isURL(self) && self.matches('^[a-z][a-z0-9+.-]*:')",message="a redirect URI must be an absolute URI with a lower-case scheme, such as https://shop.example/callback"
// +kubebuilder:validation:XValidation:rule="!self.contains('#') && !self.contains('*') && !self.contains('\\\\') && self.matches('^[!-~]+$')",message="a redirect URI must have no fragment, wildcard, backslash, space or non-ASCII character; list every URI"
// +kubebuilder:validation:XValidation:rule="!self.matches('^https?:') || self.matches('^https?://([^/?]*@)?([A-Za-z0-9._-]+|[[][0-9a-f:]+[]])(:[0-9]{1,5})?([/?]|$)')",message="an http or https redirect URI must have a host of letters, digits, dots, dashes and underscores, and may have a port of 5 digits at most"
// +kubebuilder:validation:XValidation:rule="!self.matches('^[a-z][a-z0-9+.-]*://[^/?]*@')",message="a redirect URI must have no user information before its host"
// +kubebuilder:validation:XValidation:rule="!self.startsWith('http:') || self.matches('^http://(localhost|127[.]0[.]0[.]1|[[]::1[]])(:[0-9]+)?(/|[?]|$)')",message="an http redirect URI must have the host localhost, 127.0.0.1 or [::1]; use https"
// +kubebuilder:validation:XValidation:rule="self.matches('^https?:') || self.matches('^[a-z][a-z0-9+-]*([.][a-z0-9+-]+)+:')",message="a private-use scheme must be a reverse domain name, such as com.example.app:/callback"
type RedirectURI string

// OAuthClientSpec is what an application's team declares.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'Public' || !has(self.authentication)",message="a Public client has no authentication; remove it, or set type: Confidential"
// +kubebuilder:validation:XValidation:rule="self.type != 'Confidential' || has(self.authentication)",message="a Confidential client needs authentication, such as authentication: {clientSecret: {source: Generated, secretName: <name>}}"
// +kubebuilder:validation:XValidation:rule="!('authorization_code' in self.grantTypes) || (has(self.redirectURIs) && size(self.redirectURIs) > 0)",message="grant type authorization_code needs at least one entry in redirectURIs"
// +kubebuilder:validation:XValidation:rule="!has(self.scopes) || !('offline_access' in self.scopes) || 'refresh_token' in self.grantTypes",message="scope offline_access asks for a refresh token; add the grant type refresh_token, or leave the scope out"
// +kubebuilder:validation:XValidation:rule="!('refresh_token' in self.grantTypes) || 'authorization_code' in self.grantTypes || 'urn:ietf:params:oauth:grant-type:device_code' in self.grantTypes",message="grant type refresh_token renews what another grant type gave; add authorization_code or urn:ietf:params:oauth:grant-type:device_code"
// +kubebuilder:validation:XValidation:rule="!('client_credentials' in self.grantTypes) || self.type == 'Confidential'",message="grant type client_credentials is for type: Confidential only; a Public client has no credentials"
// +kubebuilder:validation:XValidation:rule="!('urn:ietf:params:oauth:grant-type:token-exchange' in self.grantTypes) || self.type == 'Confidential'",message="grant type urn:ietf:params:oauth:grant-type:token-exchange is for type: Confidential only; a Public client could be anybody who holds the token"
// +kubebuilder:validation:XValidation:rule="!has(self.pkce) || self.pkce != 'Optional' || self.type == 'Confidential'",message="pkce: Optional is for type: Confidential only; a Public client must use PKCE"
// +kubebuilder:validation:XValidation:rule="!has(self.refreshTokens) || !has(self.refreshTokens.rotation) || self.refreshTokens.rotation != 'Never' || self.type == 'Confidential'",message="refreshTokens: {rotation: Never} is for type: Confidential only; the refresh tokens of a Public client always rotate"
// +kubebuilder:validation:XValidation:rule="!has(self.subjectType) || self.subjectType != 'Pairwise' || (has(self.redirectURIs) && size(self.redirectURIs) > 0 && self.redirectURIs.all(u, u.matches('^https?://') && isURL(u) && u.lowerAscii().substring(u.indexOf('//') + 2, u.indexOf('//') + 2 + url(u).getHostname().size()) == self.redirectURIs[0].lowerAscii().substring(self.redirectURIs[0].indexOf('//') + 2, self.redirectURIs[0].indexOf('//') + 2 + url(self.redirectURIs[0]).getHostname().size())))",message="subjectType: Pairwise needs redirectURIs that are http or https and share one host, for which the subjects are made; remove the others, or set subjectType: Public"
type OAuthClientSpec struct {
	// authorizationServerName is the issuer the client uses, `default` when empty.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	AuthorizationServerName string `json:"authorizationServerName,omitempty"`
	// displayName is what pages call the client; the object's name when empty.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DisplayName string `json:"displayName,omitempty"`
	// type says whether the client can keep a secret: Confidential (a web server) or Public (a browser, phone or command line).
	// +required
	Type ClientType `json:"type"`
	// redirectURIs are where users are sent back. They are compared exactly; only the port of a Public client's http redirect
	// to 127.0.0.1 or [::1] may differ (RFC 8252 section 7.3).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	RedirectURIs []RedirectURI `json:"redirectURIs,omitempty"`
	// grantTypes are the grant types the client may use.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	GrantTypes []GrantType `json:"grantTypes"`
	// scopes are the identity scopes the client may ask for.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Scopes []IdentityScope `json:"scopes,omitempty"`
	// resources are the ResourceServers the client uses, and which of their scopes it may ask for. Those of other
	// namespaces need the owner's access rule.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Resources []ResourceReference `json:"resources,omitempty"`
	// authentication says how a Confidential client proves who it is.
	// +optional
	Authentication *ClientAuthentication `json:"authentication,omitempty"`
	// pkce: Required when empty. Optional is a relaxation for a Confidential client that knows no PKCE; one that sends a
	// code_challenge is still held to it.
	// +optional
	PKCE PKCE `json:"pkce,omitempty"`
	// subjectType: Public when empty, for the same `sub` as every client; Pairwise for one that clients of other namespaces or
	// hosts don't know. A change makes every user a stranger to the client.
	// +optional
	SubjectType SubjectType `json:"subjectType,omitempty"`
	// idToken shapes the ID tokens that are issued to this client.
	// +optional
	IDToken *IDToken `json:"idToken,omitempty"`
	// userinfo shapes what the userinfo endpoint answers this client.
	// +optional
	Userinfo *Userinfo `json:"userinfo,omitempty"`
	// refreshTokens shapes the client's refresh tokens.
	// +optional
	RefreshTokens *RefreshTokens `json:"refreshTokens,omitempty"`
	// logout says where users go after they signed out, and where the client is told.
	// +optional
	Logout *Logout `json:"logout,omitempty"`
	// disabled refuses the client everything, its live tokens included.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
	// revokeTokensIssuedBefore ends all codes, grants and tokens of the client from before that time, in whole seconds. A time that is
	// still to come takes effect when it comes.
	// +optional
	RevokeTokensIssuedBefore *metav1.Time `json:"revokeTokensIssuedBefore,omitempty"`
}

// IDTokenClaims says which claims about the user ID tokens have.
// +kubebuilder:validation:Enum=Scopes;Requested
type IDTokenClaims string

// What ID tokens tell of the user.
const (
	IDTokenClaimsOfScopes  IDTokenClaims = "Scopes"
	IDTokenClaimsRequested IDTokenClaims = "Requested"
)

// IDToken shapes a client's ID tokens.
type IDToken struct {
	// signingAlgorithm of ID tokens; RS256 when empty, as OpenID Connect requires.
	// +optional
	SigningAlgorithm SigningAlgorithm `json:"signingAlgorithm,omitempty"`
	// claims says what ID tokens tell of the user. Scopes when empty: what the granted scopes name, as the userinfo endpoint does.
	// Requested: only what the claims parameter asks of the ID token (OpenID Connect Core sections 5.4 and 5.5), groups included.
	// +optional
	Claims IDTokenClaims `json:"claims,omitempty"`
}

// Userinfo shapes the answers of the userinfo endpoint (OpenID Connect Core section 5.3.2).
type Userinfo struct {
	// signingAlgorithm makes the answer a JWT that is signed with it; plain JSON when empty.
	// +optional
	SigningAlgorithm SigningAlgorithm `json:"signingAlgorithm,omitempty"`
}

// RefreshTokenRotation says when a client gets a new refresh token.
// +kubebuilder:validation:Enum=Always;Never
type RefreshTokenRotation string

// The ways of rotating refresh tokens.
const (
	RotateAlways RefreshTokenRotation = "Always"
	RotateNever  RefreshTokenRotation = "Never"
)

// RefreshTokens shapes a client's refresh tokens.
type RefreshTokens struct {
	// rotation: Always when empty, so that every refresh token works once and a stolen one is noticed (RFC 9700 section
	// 4.14.2). Never is a relaxation for a Confidential client that can't store a new one each time.
	// +optional
	Rotation RefreshTokenRotation `json:"rotation,omitempty"`
}

// Logout is what a client has to do with signing out.
type Logout struct {
	// postLogoutRedirectURIs are where users may be sent after they signed out (OpenID Connect RP-Initiated Logout section
	// 3.1). They are compared exactly.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	PostLogoutRedirectURIs []RedirectURI `json:"postLogoutRedirectURIs,omitempty"`
	// backChannelURI is sent a logout token when a user signs out (OpenID Connect Back-Channel Logout section 2.2).
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHost() != '' && (self.startsWith('https://') || self.matches('^http://(localhost|127[.]0[.]0[.]1|[[]::1[]])(:[0-9]+)?(/|[?]|$)'))",message="backChannelURI must be an https URL, such as https://shop.example/backchannel-logout (http is accepted for localhost, 127.0.0.1 and [::1] only)"
	// +kubebuilder:validation:XValidation:rule="!self.contains('#') && !self.contains('\\\\') && self.matches('^[!-~]*$') && !self.matches('^https?://[^/?]*@')",message="backChannelURI must have no fragment, user information, backslash, space or non-ASCII character"
	BackChannelURI string `json:"backChannelURI,omitempty"`
}

// ResourceReference names a ResourceServer and scopes of it.
type ResourceReference struct {
	// namespace of the ResourceServer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// name of the ResourceServer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// scopes of that ResourceServer that the client may ask for.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Scopes []string `json:"scopes"`
}

// OAuthClientStatus is what the controller observed of a client.
type OAuthClientStatus struct {
	// observedGeneration is the generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// clientID is the client_id (RFC 6749 section 2.2).
	// +optional
	// +kubebuilder:validation:MaxLength=127
	ClientID string `json:"clientID,omitempty"`
	// authorizationServerName is the issuer in force.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	AuthorizationServerName string `json:"authorizationServerName,omitempty"`
	// secrets that are valid now, that which the Secret holds first. A digest is bound to this client, so that it is worth nothing
	// elsewhere.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	Secrets []ClientSecretStatus `json:"secrets,omitempty"`
	// secretUsage is when each of these secrets was used last. A secret that is not in it has not been used, as far as is known. The
	// servers write it, once an hour at most for a client, and nobody else; no decision is made by it.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	SecretUsage []ClientSecretUsage `json:"secretUsage,omitempty"`
	// lastHandledRotation is the value of annotation oauth.latchkey.io/rotate (256 characters at most) for which the Secret has a new
	// client secret.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledRotation string `json:"lastHandledRotation,omitempty"`
	// relaxations are the rules that the spec relaxes for this client.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Relaxations []Relaxation `json:"relaxations,omitempty"`
	// conditions: Ready, Accepted, ResolvedRefs, SecretReady, Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Relaxation is a rule that holds for every client and is relaxed for one, by its spec.
// +kubebuilder:validation:Enum=PKCEOptional;AssertionAudienceTokenEndpoint;RefreshTokenRotationNever
type Relaxation string

// The relaxations.
const (
	// RelaxedPKCE: the client may do without PKCE (spec.pkce: Optional).
	RelaxedPKCE Relaxation = "PKCEOptional"
	// RelaxedAssertionAudience: the client's assertions may be for the URL of the token endpoint
	// (spec.authentication.privateKeyJWT.audience: IssuerOrTokenEndpoint).
	RelaxedAssertionAudience Relaxation = "AssertionAudienceTokenEndpoint"
	// RelaxedRefreshTokenRotation: the client keeps its refresh token (spec.refreshTokens.rotation: Never).
	RelaxedRefreshTokenRotation Relaxation = "RefreshTokenRotationNever"
)

// ClientSecretStatus is one client secret that is valid now.
type ClientSecretStatus struct {
	// id names the secret without telling anything of it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
	// digest is the base64url HMAC-SHA-256, under a key that only Latchkey has, of the client's UID, this id, the expiry and
	// the secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest"`
	// createdAt is when the secret was made or first seen.
	// +required
	CreatedAt metav1.Time `json:"createdAt"`
	// expiresAt is when the secret stops being valid, if it does.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// ClientSecretUsage is when one client secret was used.
type ClientSecretUsage struct {
	// id names the secret, as in secrets.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
	// lastUsedTime is when the client last proved with it who it is, in whole seconds. It may be behind by an hour and a few minutes while the
	// secret is in use, and becomes exact within that time after the last use.
	// +required
	LastUsedTime metav1.Time `json:"lastUsedTime"`
}

// OAuthClientList is a list of OAuthClients.
// +kubebuilder:object:root=true
type OAuthClientList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthClient `json:"items"`
}
