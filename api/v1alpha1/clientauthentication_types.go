package v1alpha1

// ClientAuthentication is exactly one way of authenticating a client.
// +kubebuilder:validation:XValidation:rule="[has(self.clientSecret), has(self.privateKeyJWT), has(self.serviceAccount)].filter(used, used).size() == 1",message="authentication needs exactly one method: clientSecret, privateKeyJWT or serviceAccount"
type ClientAuthentication struct {
	// clientSecret: a shared secret (RFC 6749 section 2.3.1), kept in a Secret of the client's own namespace.
	// +optional
	ClientSecret *ClientSecret `json:"clientSecret,omitempty"`
	// privateKeyJWT: assertions that the client signs with a key of its own (RFC 7523, OpenID Connect Core section 9).
	// +optional
	PrivateKeyJWT *PrivateKeyJWT `json:"privateKeyJWT,omitempty"`
	// serviceAccount: no credential of the client's own. Its pods present the tokens that Kubernetes gives them, projected with the
	// issuer as audience, in the form of RFC 7523 and with client_id beside them.
	// +optional
	ServiceAccount *ServiceAccountAuthentication `json:"serviceAccount,omitempty"`
}

// ServiceAccountAuthentication says which ServiceAccounts are the client.
type ServiceAccountAuthentication struct {
	// names of ServiceAccounts in the client's own namespace, any of which is the client. Whoever may create pods, or ask for tokens
	// of these ServiceAccounts, in the namespace can be the client.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Names []ServiceAccountName `json:"names"`
}

// ServiceAccountName is the name of a ServiceAccount.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",message="the name of a ServiceAccount has lower-case letters, digits, dashes and dots, and begins and ends with a letter or digit"
// +kubebuilder:validation:XValidation:rule="self != 'default'",message="ServiceAccount default can't be a client: every pod of the namespace that names no other one runs as it; make a ServiceAccount for the client"
type ServiceAccountName string

// AssertionAudience says what a client's assertions may be addressed to.
// +kubebuilder:validation:Enum=Issuer;IssuerOrTokenEndpoint
type AssertionAudience string

// The audiences of assertions.
const (
	AudienceIssuer                AssertionAudience = "Issuer"
	AudienceIssuerOrTokenEndpoint AssertionAudience = "IssuerOrTokenEndpoint"
)

// PrivateKeyJWT says which keys a client signs its assertions with.
// +kubebuilder:validation:XValidation:rule="has(self.jwks) != has(self.jwksURI)",message="privateKeyJWT needs exactly one of jwks and jwksURI"
type PrivateKeyJWT struct {
	// jwks is a JWK Set (RFC 7517 section 5) in JSON with the client's public keys.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	JWKS string `json:"jwks,omitempty"`
	// jwksURI is where the client publishes its JWK Set. It is fetched when needed, and again when a key is not in it.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.startsWith('https://') && isURL(self) && url(self).getHost() != ''",message="jwksURI must be an https URL, such as https://shop.example/jwks.json"
	// +kubebuilder:validation:XValidation:rule="!self.contains('#') && !self.contains('\\\\') && self.matches('^[!-~]*$') && !self.matches('^https?://[^/?]*@')",message="jwksURI must have no fragment, user information, backslash, space or non-ASCII character"
	JWKSURI string `json:"jwksURI,omitempty"`
	// audience: Issuer when empty, so that assertions are addressed to the issuer alone. IssuerOrTokenEndpoint is a relaxation
	// for clients that address them to the URL of the token endpoint.
	// +optional
	Audience AssertionAudience `json:"audience,omitempty"`
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
// +kubebuilder:validation:XValidation:rule="self.source != 'Existing' || !has(self.rotation) || !has(self.rotation.interval)",message="rotation.interval is for source: Generated; an Existing Secret rotates when you change it"
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
	// +kubebuilder:validation:XValidation:rule="['client-id', 'client-secret', 'issuer'].all(k, ['client-id', 'client-secret', 'issuer'].all(l, k == l || (k in self ? self[k] : k) != (l in self ? self[l] : l))) && self.all(k, !(self[k] in ['type', 'provider', 'uri', '.latchkey']))",message="keys must be renamed to different names, none of them type, provider, uri or .latchkey"
	Keys map[string]SecretKey `json:"keys,omitempty"`
	// labels are set on a Generated Secret.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// annotations are set on a Generated Secret.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
	// rotation replaces the client secret by a new one, on a schedule or when asked to, and keeps the old one valid for a while.
	// +optional
	Rotation *SecretRotation `json:"rotation,omitempty"`
	// revoked are the ids, as in status.secrets, of client secrets that are refused from now on, whatever overlap says. One that a
	// Generated Secret holds is replaced at once. An id may go from here when it is no longer in status.secrets.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Revoked []ClientSecretID `json:"revoked,omitempty"`
}

// ClientSecretID names a client secret, as status.secrets does.
// +kubebuilder:validation:Pattern=`^[a-z2-7]{16}$`
type ClientSecretID string

// SecretRotation says when a client secret is replaced, and how long the old one remains valid.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || !has(self.overlap) || duration(self.overlap) <= duration(self.interval)",message="overlap must not exceed interval"
type SecretRotation struct {
	// interval is how old a Generated client secret becomes before it is replaced. When empty it is replaced only when annotation
	// oauth.latchkey.io/rotate of the OAuthClient gets another value.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('87600h')",message="interval must be between 1m and 87600h"
	Interval *Duration `json:"interval,omitempty"`
	// overlap is how long a client secret remains valid after the Secret has another: 24h when empty, or interval where that is
	// less. When empty for an Existing Secret the old one is refused at once.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('87600h')",message="overlap must be between 10s and 87600h"
	Overlap *Duration `json:"overlap,omitempty"`
}

// AnnotationRotate asks, on an OAuthClient, for a new Generated client secret. Each new value asks for one.
const AnnotationRotate = "oauth.latchkey.io/rotate"

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
