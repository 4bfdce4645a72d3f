package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ResourceServer is an API that accepts access tokens: its identifier is their audience (RFC 8707), its scopes are what
// users are asked to approve, and its access list says which clients of other namespaces may ask.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=oauth
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Identifier",type=string,JSONPath=`.spec.identifier`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Refs",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].reason`,description="whether all clients that it names are there, and can be what they are named for",priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of a ResourceServer has at most 63 characters"
type ResourceServer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ResourceServerSpec `json:"spec"`
	// status is what the controller observed. Until it has looked, observedGeneration is -1: kstatus would take no status at all for success.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ResourceServerStatus `json:"status,omitzero"`
}

// ResourceServerSpec is what an API's owner declares.
type ResourceServerSpec struct {
	// authorizationServerNames are the issuers whose tokens the API accepts; only `default` when empty.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	AuthorizationServerNames []string `json:"authorizationServerNames,omitempty"`
	// identifier is the resource identifier (RFC 8707) and the audience of tokens for this API. A namespace may claim
	// https://<name>.<namespace>.svc, with any port and path, and what an AuthorizationServer assigns to it.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="identifier can't be changed, for tokens name it; create another ResourceServer"
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="identifier must be an https URL, such as https://orders.shop.svc"
	// +kubebuilder:validation:XValidation:rule="!self.contains('#') && !self.contains('?') && !self.contains('@') && !self.contains('*') && !self.contains('\\\\')",message="identifier must have no fragment, query, user, wildcard or backslash"
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[a-z0-9.:-]+(/[A-Za-z0-9._~!$&()+,;=:%/-]*)?$')",message="identifier must have a lower-case host and a plain path"
	// +kubebuilder:validation:XValidation:rule="!self.matches('/[.][.]?(/|$)')",message="identifier must have no . or .. path segments"
	Identifier string `json:"identifier"`
	// displayName is what the consent page calls the API; the object's name when empty.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DisplayName string `json:"displayName,omitempty"`
	// scopes are what clients may ask for.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Scopes []Scope `json:"scopes,omitempty"`
	// accessToken shapes the access tokens for this API.
	// +optional
	AccessToken *AccessToken `json:"accessToken,omitempty"`
	// introspection says which clients may ask what a token for this API is good for, besides the ServiceAccounts that RBAC
	// allows to review this ResourceServer.
	// +optional
	Introspection *Introspection `json:"introspection,omitempty"`
	// tokenExchange says which clients may exchange a token for this API for one for another API (RFC 8693), be it an access token or that
	// of a ServiceAccount with identifier as its audience: the clients that the API itself is when it calls others. Nobody when empty.
	// +optional
	TokenExchange *TokenExchange `json:"tokenExchange,omitempty"`
	// access says which clients of other namespaces may ask for which scopes. Clients of the ResourceServer's own namespace
	// may ask for all; others for nothing that no rule here allows.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Access []AccessRule `json:"access,omitempty"`
}

// Scope is one permission that a client may ask for and a user may grant.
type Scope struct {
	// name is the scope token (RFC 6749 section 3.3).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!#-Z^-~\\\\[\\\\]]+$')",message="a scope's name is printable ASCII without spaces, quotes or backslashes"
	// +kubebuilder:validation:XValidation:rule="!(self in ['openid', 'profile', 'email', 'address', 'phone', 'groups', 'offline_access', 'kubernetes', '*'])",message="openid, profile, email, address, phone, groups, offline_access, kubernetes and * are not a ResourceServer's to define"
	Name string `json:"name"`
	// description tells users on the consent page what they allow, in a few words: "See your orders".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Description string `json:"description"`
	// requiredGroups: only users in one of these groups may grant the scope; every user when empty.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	RequiredGroups []string `json:"requiredGroups,omitempty"`
}

// AccessToken shapes access tokens.
type AccessToken struct {
	// lifetime of access tokens; the AuthorizationServer's when empty, and never longer than that.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('30s') && duration(self) <= duration('24h')",message="lifetime must be between 30s and 24h"
	Lifetime *Duration `json:"lifetime,omitempty"`
	// signingAlgorithm of access tokens; ES256 when empty.
	// +optional
	SigningAlgorithm SigningAlgorithm `json:"signingAlgorithm,omitempty"`
}

// Introspection allows clients to introspect tokens (RFC 7662).
type Introspection struct {
	// clients are names of OAuthClients in the ResourceServer's own namespace.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="clients are names of OAuthClients in the ResourceServer's own namespace, such as orders-api"
	Clients []string `json:"clients"`
}

// TokenExchange allows clients to exchange tokens (RFC 8693).
type TokenExchange struct {
	// clients are names of OAuthClients in the ResourceServer's own namespace. What such a client may get for a token is up to the
	// owners of the other APIs, by their access rules.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="clients are names of OAuthClients in the ResourceServer's own namespace, such as orders-api"
	Clients []string `json:"clients"`
}

// AccessRule allows clients of the selected namespaces to ask for scopes.
type AccessRule struct {
	// namespaceSelector selects the clients' namespaces by label; an empty selector selects all.
	// +required
	NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
	// clients are names of OAuthClients in those namespaces; "*" for all.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Clients []string `json:"clients"`
	// scopes are names of this ResourceServer's scopes; "*" for all.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Scopes []string `json:"scopes"`
}

// ResourceServerStatus is what the controller observed of an API.
type ResourceServerStatus struct {
	// observedGeneration is the generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// authorizationServerNames are the issuers that accept the ResourceServer.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	AuthorizationServerNames []string `json:"authorizationServerNames,omitempty"`
	// conditions: Ready, Accepted, ResolvedRefs, Stalled. ResolvedRefs is False while introspection or tokenExchange name clients that do not
	// exist or can't be what they are named for; Ready does not wait for them.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ResourceServerList is a list of ResourceServers.
// +kubebuilder:object:root=true
type ResourceServerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ResourceServer `json:"items"`
}
