package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OAuthDeviceAuthorization is a device's request for access that waits for a user to enter its user code (RFC 8628), or that a
// user has decided. It is written by the server, for declared clients only, and exists in the operator's namespace only. Its
// name is a keyed hash of the user code: nobody who can read it can tell the code. Deleting it denies the request.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=oauth
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.decision) || (has(self.status) && self.status == oldSelf.status)",message="a decision is final: status can't be changed or removed"
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.clientID`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.decision`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.status.user.name`
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.spec.authorizationServerName`
// +kubebuilder:printcolumn:name="Expires",type=string,format=date-time,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type OAuthDeviceAuthorization struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a device authorization can't be changed; delete it to deny it"
	Spec OAuthDeviceAuthorizationSpec `json:"spec"`
	// +optional
	Status OAuthDeviceAuthorizationStatus `json:"status,omitzero"`
}

// OAuthDeviceAuthorizationSpec is what a device asks for. The UID binds it to that very client: one created again under the
// same name is another.
type OAuthDeviceAuthorizationSpec struct {
	// authorizationServerName is the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	AuthorizationServerName string `json:"authorizationServerName"`
	// clientID is the client's client_id.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=127
	ClientID string `json:"clientID"`
	// clientUID is the OAuthClient's UID.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ClientUID string `json:"clientUID"`
	// id becomes the name of the OAuthGrant that an approval leads to, which is what makes the device code single-use.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`
	// scopes are the identity scopes asked for, such as openid and offline_access.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=128
	Scopes []string `json:"scopes,omitempty"`
	// resources are the resource servers at which access is asked for.
	// +optional
	// +listType=map
	// +listMapKey=identifier
	// +kubebuilder:validation:MaxItems=32
	Resources []GrantResource `json:"resources,omitempty"`
	// source is the address that the request came from, as far as the server can tell.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Source string `json:"source,omitempty"`
	// expiresAt is when neither the user code nor the device code is good any more.
	// +required
	ExpiresAt metav1.Time `json:"expiresAt"`
}

// DeviceDecision is what a user made of a device's request.
// +kubebuilder:validation:Enum=Approved;Denied
type DeviceDecision string

// The decisions.
const (
	DeviceApproved DeviceDecision = "Approved"
	DeviceDenied   DeviceDecision = "Denied"
)

// OAuthDeviceAuthorizationStatus is the user's decision. It is written once.
// +kubebuilder:validation:XValidation:rule="!has(self.decision) || (has(self.user) && has(self.decidedAt))",message="a decision names the user and the time"
type OAuthDeviceAuthorizationStatus struct {
	// decision is what the user decided; absent while the request waits.
	// +optional
	Decision DeviceDecision `json:"decision,omitempty"`
	// decidedAt is when.
	// +optional
	DecidedAt *metav1.Time `json:"decidedAt,omitempty"`
	// user who decided.
	// +optional
	User *GrantUser `json:"user,omitempty"`
	// sessionID is the `sid` of the sign-in at which it was decided.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SessionID string `json:"sessionID,omitempty"`
	// credentialVersion tells whether the user's password has changed since.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	CredentialVersion string `json:"credentialVersion,omitempty"`
	// authTime is when the user signed in.
	// +optional
	AuthTime *metav1.Time `json:"authTime,omitempty"`
	// scopes are the identity scopes that were granted.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=128
	Scopes []string `json:"scopes,omitempty"`
	// resources are the resource servers that access was granted to.
	// +optional
	// +listType=map
	// +listMapKey=identifier
	// +kubebuilder:validation:MaxItems=32
	Resources []GrantResource `json:"resources,omitempty"`
}

// OAuthDeviceAuthorizationList is a list of OAuthDeviceAuthorizations.
// +kubebuilder:object:root=true
type OAuthDeviceAuthorizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthDeviceAuthorization `json:"items"`
}
