package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OAuthSignOut says that a user has signed out, of one session or everywhere, until nothing from before could be of use anyway. It is
// written by the server and exists in the operator's namespace only. Deleting it lets a copied session cookie count again.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=oauth
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.signedOutAt) || (has(self.status) && has(self.status.signedOutAt) && self.status.signedOutAt >= oldSelf.status.signedOutAt && self.status.expiresAt >= oldSelf.status.expiresAt)",message="a sign-out can't be put back in time"
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user.name`
// +kubebuilder:printcolumn:name="Session",type=string,JSONPath=`.spec.sessionID`,description="the one session; empty for all of the user's"
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.spec.authorizationServerName`
// +kubebuilder:printcolumn:name="Expires",type=string,format=date-time,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Again",type=date,JSONPath=`.status.signedOutAt`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type OAuthSignOut struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a sign-out can't be changed"
	Spec OAuthSignOutSpec `json:"spec"`
	// +optional
	Status OAuthSignOutStatus `json:"status,omitzero"`
}

// OAuthSignOutSpec is who signed out, of what and when.
type OAuthSignOutSpec struct {
	// authorizationServerName is the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	AuthorizationServerName string `json:"authorizationServerName"`
	// user who signed out.
	// +required
	User GrantUser `json:"user"`
	// sessionID is the `sid` of the session that is over; absent when all sessions and grants of the user are.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	SessionID string `json:"sessionID,omitempty"`
	// signedOutAt is when, unless it was again since: see status.signedOutAt.
	// +required
	SignedOutAt metav1.MicroTime `json:"signedOutAt"`
	// expiresAt is when nothing from before could be of use anyway; see status.expiresAt too.
	// +required
	ExpiresAt metav1.Time `json:"expiresAt"`
}

// OAuthSignOutStatus says that the user has signed out again.
// +kubebuilder:validation:XValidation:rule="has(self.signedOutAt) == has(self.expiresAt)",message="signedOutAt and expiresAt come together"
type OAuthSignOutStatus struct {
	// signedOutAt is when last.
	// +optional
	SignedOutAt *metav1.MicroTime `json:"signedOutAt,omitempty"`
	// expiresAt is when nothing from before that could be of use anyway.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// SignedOutAt is when the user signed out last.
func (o *OAuthSignOut) SignedOutAt() metav1.MicroTime {
	if o.Status.SignedOutAt != nil {
		return *o.Status.SignedOutAt
	}
	return o.Spec.SignedOutAt
}

// Expiry is when the object is of no use any more.
func (o *OAuthSignOut) Expiry() metav1.Time {
	if o.Status.ExpiresAt != nil {
		return *o.Status.ExpiresAt
	}
	return o.Spec.ExpiresAt
}

// OAuthSignOutList is a list of OAuthSignOuts.
// +kubebuilder:object:root=true
type OAuthSignOutList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthSignOut `json:"items"`
}
