package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AuthorizationServer is one OAuth 2.x and OpenID Connect issuer (RFC 8414). One deployment serves all of them.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=oauth
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Default",type=boolean,JSONPath=`.status.default`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of an AuthorizationServer has at most 63 characters"
type AuthorizationServer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec AuthorizationServerSpec `json:"spec"`
	// status is what the controller observed. Until it has looked, observedGeneration is -1: kstatus would take no status at all for success.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status AuthorizationServerStatus `json:"status,omitzero"`
}

// AuthorizationServerSpec is what the platform declares of an issuer.
type AuthorizationServerSpec struct {
	// issuer is the issuer identifier (RFC 8414 section 2): an https URL with no query, fragment or trailing slash. http is
	// for loopback hosts only. It can't be changed: every token and every `sub` depends on it.
	// +required
	// +kubebuilder:validation:MinLength=8
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="issuer can't be changed; create another AuthorizationServer"
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHost() != ''",message="issuer must be an absolute URL, such as https://login.example.com"
	// +kubebuilder:validation:XValidation:rule="!isURL(self) || url(self).getScheme() == 'https' || (url(self).getScheme() == 'http' && url(self).getHostname() in ['localhost', '127.0.0.1', '::1', '[::1]'])",message="issuer must start with https:// (http:// is accepted for localhost, 127.0.0.1 and [::1] only)"
	// +kubebuilder:validation:XValidation:rule="!self.contains('?') && !self.contains('#') && !self.contains('@') && !self.contains('%') && !self.endsWith('/')",message="issuer must have no query, fragment, user, percent-encoding or trailing slash"
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[a-z0-9.:\\\\[\\\\]-]+(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$')",message="issuer must have a lower-case host and plain path segments, none of which starts with a dot or is empty"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https?://[^/]+/(authorize|token|login|consent|jwks|userinfo|introspect|revoke|device|device_authorization|par|logout|account|assets|apis|healthz|readyz|metrics|oauth2)(/.*)?$')",message="issuer's path must not start with a reserved word such as authorize, token, login, consent, jwks, userinfo or assets"
	Issuer string `json:"issuer"`

	// displayName is what pages call the place where users sign in; the issuer's host when empty.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DisplayName string `json:"displayName,omitempty"`

	// allowedNamespaces says whose OAuthClients and ResourceServers are accepted; every namespace's when absent.
	// +optional
	AllowedNamespaces *NamespaceMatch `json:"allowedNamespaces,omitempty"`

	// resourceIdentifiers assigns resource identifiers (RFC 8707) to namespaces. Without it a namespace may claim
	// https://<name>.<namespace>.svc only.
	// +optional
	// +listType=map
	// +listMapKey=prefix
	// +kubebuilder:validation:MaxItems=256
	ResourceIdentifiers []ResourceIdentifierAssignment `json:"resourceIdentifiers,omitempty"`

	// kubernetes lets clients get access tokens for kube-apiserver itself. They live for lifetimes.accessToken, and for 5m at most.
	// +optional
	Kubernetes *KubernetesAccess `json:"kubernetes,omitempty"`

	// signing says with what tokens are signed, and how often keys change.
	// +optional
	Signing *Signing `json:"signing,omitempty"`

	// lifetimes bound what is issued.
	// +optional
	Lifetimes *Lifetimes `json:"lifetimes,omitempty"`

	// revokeTokensIssuedBefore ends all sessions, codes, grants and tokens of the issuer from before that time, in whole seconds. A time that is
	// still to come takes effect when it comes.
	// +optional
	RevokeTokensIssuedBefore *metav1.Time `json:"revokeTokensIssuedBefore,omitempty"`

	// storage says where grants and the requests of devices are kept: in objects of the operator's namespace when absent. What was
	// kept elsewhere before is not moved: its users sign in again.
	// +optional
	Storage *Storage `json:"storage,omitempty"`
}

// Storage says where an issuer's grants are kept.
type Storage struct {
	// valkey is a server of Valkey, or of Redis 7.0 or newer, for sites whose logins outgrow etcd.
	// +required
	Valkey ValkeyStorage `json:"valkey"`
}

// ValkeyStorage says how a server of Valkey is reached.
type ValkeyStorage struct {
	// secretRef names the Secret in the operator's namespace that holds its addresses, and as whom to come.
	// +required
	SecretRef ValkeySecretReference `json:"secretRef"`
}

// ValkeySecretReference names a Secret in the operator's namespace.
type ValkeySecretReference struct {
	// name of the Secret. Its keys: addresses (host:port of the server, of Sentinels or of nodes of a Cluster, separated by commas),
	// masterName (the set that Sentinels watch), username, password, sentinelUsername, sentinelPassword, tls ("true"), ca.crt, tls.crt,
	// tls.key, prefix (of the keys there). All but addresses are optional.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",message="the name of a Secret has lower-case letters, digits, dashes and dots, and begins and ends with a letter or digit"
	Name string `json:"name"`
}

// NamespaceMatch selects namespaces by label.
type NamespaceMatch struct {
	// selector selects namespaces by their labels; an empty one selects all.
	// +required
	Selector metav1.LabelSelector `json:"selector"`
}

// ResourceIdentifierAssignment gives the identifiers below a prefix to some namespaces.
type ResourceIdentifierAssignment struct {
	// prefix is an https URL ending in a slash; identifiers that start with it may be claimed by the selected namespaces.
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[a-z0-9.:-]+/') && self.endsWith('/')",message="prefix must be an https URL with a lower-case host that ends with a slash, such as https://api.example.com/"
	Prefix string `json:"prefix"`
	// namespaceSelector selects the namespaces that may claim them.
	// +required
	NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
}

// KubernetesAccess says how tokens of this issuer are seen by kube-apiserver.
type KubernetesAccess struct {
	// audiences are kube-apiserver's own (its --api-audiences, by default its ServiceAccount issuer). The clients listed
	// below may ask for the first of them with the resource parameter (RFC 8707), or with the scope kubernetes.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Audiences []string `json:"audiences"`
	// usernamePrefix precedes every username in a TokenReview. It ends with its only colon and must differ between issuers;
	// "oauth:" for the AuthorizationServer called default and "oauth.<name>:" for others when empty.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?:$') && self != 'system:'",message="usernamePrefix must be lower-case letters, digits, dots and dashes followed by one colon, and not system:"
	UsernamePrefix string `json:"usernamePrefix,omitempty"`
	// groupsPrefix precedes every group in a TokenReview, with the same form and default as usernamePrefix.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?:$') && self != 'system:'",message="groupsPrefix must be lower-case letters, digits, dots and dashes followed by one colon, and not system:"
	GroupsPrefix string `json:"groupsPrefix,omitempty"`
	// clients are the OAuthClients that may ask for tokens for kube-apiserver.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Clients []ClientReference `json:"clients,omitempty"`
}

// ClientReference names an OAuthClient.
type ClientReference struct {
	// namespace of the OAuthClient.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// name of the OAuthClient.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
}

// SigningAlgorithm is a JWS algorithm (RFC 7518) that Latchkey signs with.
// +kubebuilder:validation:Enum=ES256;RS256;PS256;EdDSA
type SigningAlgorithm string

// The signing algorithms.
const (
	ES256 SigningAlgorithm = "ES256"
	RS256 SigningAlgorithm = "RS256"
	PS256 SigningAlgorithm = "PS256"
	// EdDSA is with Ed25519 (RFC 8037). kube-apiserver's AuthenticationConfiguration does not know it.
	EdDSA SigningAlgorithm = "EdDSA"
)

// Signing configures an issuer's signing keys.
type Signing struct {
	// algorithms for which a key is kept, ES256 and RS256 when empty. Access tokens use ES256 and ID tokens RS256 where
	// they are in the list. The key of an algorithm that is added later signs at once, and that of one that is removed no more:
	// verifiers must fetch the JWKS again when they meet a key that they don't know.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	Algorithms []SigningAlgorithm `json:"algorithms,omitempty"`
	// rotation of signing and sealing keys.
	// +optional
	Rotation *KeyRotation `json:"rotation,omitempty"`
}

// KeyRotation is the schedule on which keys change.
// +kubebuilder:validation:XValidation:rule="duration(has(self.interval) ? self.interval : '720h') >= duration(has(self.publishAhead) ? self.publishAhead : '24h')",message="publishAhead must not exceed interval"
type KeyRotation struct {
	// interval is how long one key signs, 720h when empty; at least 1m, and in effect at least a 24th of the lifetime of sessions and
	// tokens, whichever is longest, for every key that may still be needed is kept.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('87600h')",message="interval must be between 1m and 87600h"
	Interval *Duration `json:"interval,omitempty"`
	// publishAhead is how long a key is published before it signs, 24h when empty; at least 10s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('87600h')",message="publishAhead must be between 10s and 87600h"
	PublishAhead *Duration `json:"publishAhead,omitempty"`
}

// Duration is a length of time as Gateway API writes it (GEP-2257): "90s", "10m", "1h30m".
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
type Duration string

// Lifetimes bound what an issuer issues.
// +kubebuilder:validation:XValidation:rule="!has(self.refreshToken) || !has(self.refreshTokenIdle) || duration(self.refreshTokenIdle) <= duration(self.refreshToken)",message="refreshTokenIdle must not exceed refreshToken"
type Lifetimes struct {
	// authorizationCode is how long a code can be redeemed, 60s when empty and at most (OAuth 2.1 recommends no more).
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5s') && duration(self) <= duration('60s')",message="authorizationCode must be between 5s and 60s"
	AuthorizationCode *Duration `json:"authorizationCode,omitempty"`
	// accessToken is the lifetime of access tokens, 10m when empty; a ResourceServer may set a shorter one. Tokens for kube-apiserver
	// (spec.kubernetes) live for 5m at most, whatever is said here, and so do those that a ServiceAccount's token is exchanged for.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('30s') && duration(self) <= duration('24h')",message="accessToken must be between 30s and 24h"
	AccessToken *Duration `json:"accessToken,omitempty"`
	// idToken is the lifetime of ID tokens, 10m when empty.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('30s') && duration(self) <= duration('24h')",message="idToken must be between 30s and 24h"
	IDToken *Duration `json:"idToken,omitempty"`
	// session is how long a sign-in is remembered, 12h when empty.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="session must be between 1m and 720h"
	Session *Duration `json:"session,omitempty"`
	// refreshToken is how long a grant can be refreshed at all, 720h when empty.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="refreshToken must be between 1m and 8760h"
	RefreshToken *Duration `json:"refreshToken,omitempty"`
	// refreshTokenIdle is how long a grant can be left without a refresh, 168h when empty and never more than refreshToken.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="refreshTokenIdle must be between 1m and 8760h"
	RefreshTokenIdle *Duration `json:"refreshTokenIdle,omitempty"`
	// deviceCode is how long a user may take to enter the code that a device shows, 10m when empty (RFC 8628 section 3.2).
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('30s') && duration(self) <= duration('1h')",message="deviceCode must be between 30s and 1h"
	DeviceCode *Duration `json:"deviceCode,omitempty"`
}

// AuthorizationServerStatus is what the controller observed of an issuer.
type AuthorizationServerStatus struct {
	// observedGeneration is the generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// default is true for the AuthorizationServer meant where a spec names none.
	// +optional
	Default bool `json:"default,omitempty"`
	// endpoints are the URLs that clients use.
	// +optional
	Endpoints *Endpoints `json:"endpoints,omitempty"`
	// keys are the public halves of the signing keys that matter now.
	// +optional
	// +listType=map
	// +listMapKey=kid
	// +kubebuilder:validation:MaxItems=128
	Keys []KeyStatus `json:"keys,omitempty"`
	// conditions: Ready, Stalled; StorageReady where spec.storage says something, KubernetesVerifiable where spec.kubernetes does.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Endpoints are an issuer's URLs (RFC 8414 section 2).
type Endpoints struct {
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Authorization string `json:"authorization,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Token string `json:"token,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Userinfo string `json:"userinfo,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=512
	JWKS string `json:"jwks,omitempty"`
	// introspection is for resource servers (RFC 7662).
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Introspection string `json:"introspection,omitempty"`
	// revocation of tokens by their client (RFC 7009).
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Revocation string `json:"revocation,omitempty"`
	// endSession signs users out (OpenID Connect RP-Initiated Logout).
	// +optional
	// +kubebuilder:validation:MaxLength=512
	EndSession string `json:"endSession,omitempty"`
	// deviceAuthorization gives devices their codes (RFC 8628).
	// +optional
	// +kubebuilder:validation:MaxLength=512
	DeviceAuthorization string `json:"deviceAuthorization,omitempty"`
	// discovery is the OpenID Connect discovery document.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Discovery string `json:"discovery,omitempty"`
}

// KeyState says what a signing key is good for now.
// +kubebuilder:validation:Enum=Published;Active;Retired
type KeyState string

// The states of a key, in the order it goes through them.
const (
	// KeyPublished keys are in the JWKS and do not sign yet.
	KeyPublished KeyState = "Published"
	// KeyActive keys sign.
	KeyActive KeyState = "Active"
	// KeyRetired keys sign no more and stay in the JWKS until all that they signed has expired.
	KeyRetired KeyState = "Retired"
)

// KeyStatus is one signing key.
type KeyStatus struct {
	// kid is the key's identifier (RFC 7517 section 4.5).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	KID string `json:"kid"`
	// algorithm is the JWS algorithm the key signs with.
	// +required
	Algorithm SigningAlgorithm `json:"algorithm"`
	// state says what the key is good for now.
	// +required
	State KeyState `json:"state"`
	// activeAt is when the key starts to sign.
	// +optional
	ActiveAt *metav1.Time `json:"activeAt,omitempty"`
	// retiredAt is when the key stops signing, once its successor is known.
	// +optional
	RetiredAt *metav1.Time `json:"retiredAt,omitempty"`
}

// AuthorizationServerList is a list of AuthorizationServers.
// +kubebuilder:object:root=true
type AuthorizationServerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AuthorizationServer `json:"items"`
}
