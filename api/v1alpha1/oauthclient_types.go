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
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of an OAuthClient has at most 63 characters"
type OAuthClient struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec OAuthClientSpec `json:"spec"`
	// +optional
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
// +kubebuilder:validation:Enum=authorization_code
type GrantType string

// GrantAuthorizationCode is the authorization code grant (RFC 6749 section 4.1), always with PKCE S256 (RFC 7636).
const GrantAuthorizationCode GrantType = "authorization_code"

// IdentityScope is a scope that tells the client about the user (OpenID Connect Core section 5.4).
// +kubebuilder:validation:Enum=openid;profile;email;groups
type IdentityScope string

// OAuthClientSpec is what an application's team declares.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'Public' || !has(self.authentication)",message="a Public client has no authentication; remove it, or set type: Confidential"
// +kubebuilder:validation:XValidation:rule="self.type != 'Confidential' || has(self.authentication)",message="a Confidential client needs authentication, such as authentication: {clientSecret: {source: Generated, secretName: <name>}}"
// +kubebuilder:validation:XValidation:rule="!('authorization_code' in self.grantTypes) || (has(self.redirectURIs) && size(self.redirectURIs) > 0)",message="grant type authorization_code needs at least one entry in redirectURIs"
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
	// +kubebuilder:validation:items:MinLength=4
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule="isURL(self) && self.matches('^[a-z][a-z0-9+.-]*:')",message="a redirect URI must be an absolute URI with a lower-case scheme, such as https://shop.example/callback"
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('#') && !self.contains('*') && !self.contains('\\\\') && self.matches('^[!-~]+$')",message="a redirect URI must have no fragment, wildcard, backslash, space or non-ASCII character; list every URI"
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('^https?:') || self.matches('^https?://([^/?]*@)?([A-Za-z0-9._-]+|[[][0-9a-f:]+[]])(:[0-9]{1,5})?([/?]|$)')",message="an http or https redirect URI must have a host of letters, digits, dots, dashes and underscores, and may have a port of 5 digits at most"
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('^[a-z][a-z0-9+.-]*://[^/?]*@')",message="a redirect URI must have no user information before its host"
	// +kubebuilder:validation:items:XValidation:rule="!self.startsWith('http:') || self.matches('^http://(localhost|127[.]0[.]0[.]1|[[]::1[]])(:[0-9]+)?(/|[?]|$)')",message="an http redirect URI must have the host localhost, 127.0.0.1 or [::1]; use https"
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^https?:') || self.matches('^[a-z][a-z0-9+-]*([.][a-z0-9+-]+)+:')",message="a private-use scheme must be a reverse domain name, such as com.example.app:/callback"
	RedirectURIs []string `json:"redirectURIs,omitempty"`
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
	// authentication says how a Confidential client proves who it is at the token endpoint.
	// +optional
	Authentication *ClientAuthentication `json:"authentication,omitempty"`
	// idToken shapes the ID tokens that are issued to this client.
	// +optional
	IDToken *IDToken `json:"idToken,omitempty"`
	// disabled refuses the client everything, its live tokens included.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
}

// IDToken shapes a client's ID tokens.
type IDToken struct {
	// signingAlgorithm of ID tokens; RS256 when empty, as OpenID Connect requires.
	// +optional
	SigningAlgorithm SigningAlgorithm `json:"signingAlgorithm,omitempty"`
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

// ClientAuthentication is exactly one way of authenticating a client.
// +kubebuilder:validation:XValidation:rule="has(self.clientSecret)",message="authentication needs one method: clientSecret"
type ClientAuthentication struct {
	// clientSecret: a shared secret (RFC 6749 section 2.3.1), kept in a Secret of the client's own namespace.
	// +optional
	ClientSecret *ClientSecret `json:"clientSecret,omitempty"`
}

// SecretSource says who makes a client secret.
// +kubebuilder:validation:Enum=Generated;Existing
type SecretSource string

// The sources of a client secret.
const (
	// SecretGenerated secrets are made by Latchkey, which owns the Secret.
	SecretGenerated SecretSource = "Generated"
	// SecretExisting secrets are brought by the team; Latchkey waits for them, follows their changes and never writes them.
	SecretExisting SecretSource = "Existing"
)

// ClientSecret says where a client's secret is kept.
// +kubebuilder:validation:XValidation:rule="self.source != 'Existing' || (!has(self.labels) && !has(self.annotations))",message="labels and annotations are for source: Generated; an Existing Secret is never written"
type ClientSecret struct {
	// source: Generated (made and owned by Latchkey) or Existing (brought by you, never written).
	// +required
	Source SecretSource `json:"source"`
	// secretName is the Secret's name, in the client's namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",message="the name of a Secret has lower-case letters, digits, dashes and dots, and begins and ends with a letter or digit"
	SecretName string `json:"secretName"`
	// keys renames the Secret's keys, from client-id, client-secret or issuer to the name your application reads.
	// +optional
	// +kubebuilder:validation:MaxProperties=3
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['client-id', 'client-secret', 'issuer'])",message="keys may rename client-id, client-secret and issuer only"
	// +kubebuilder:validation:XValidation:rule="self.all(k, self[k].matches('^[A-Za-z0-9._-]{1,64}$'))",message="a key of a Secret has 1 to 64 letters, digits, dots, dashes or underscores"
	// +kubebuilder:validation:XValidation:rule="['client-id', 'client-secret', 'issuer'].all(k, ['client-id', 'client-secret', 'issuer'].all(l, k == l || (k in self ? self[k] : k) != (l in self ? self[l] : l))) && self.all(k, !(self[k] in ['type', 'provider', 'uri']))",message="keys must be renamed to different names, none of them type, provider or uri"
	Keys map[string]SecretKey `json:"keys,omitempty"`
	// labels are set on a Generated Secret.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// annotations are set on a Generated Secret.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// SecretKey is a key of a Secret's data.
// +kubebuilder:validation:MaxLength=64
type SecretKey string

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$`
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

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
	// secrets that are valid now. A digest is bound to this client, so that it is worth nothing elsewhere.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	Secrets []ClientSecretStatus `json:"secrets,omitempty"`
	// conditions: Ready, Accepted, ResolvedRefs, SecretReady, Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

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
	// createdAt is when the secret was first seen.
	// +required
	CreatedAt metav1.Time `json:"createdAt"`
	// expiresAt is when the secret stops being valid, if it does.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// OAuthClientList is a list of OAuthClients.
// +kubebuilder:object:root=true
type OAuthClientList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthClient `json:"items"`
}
