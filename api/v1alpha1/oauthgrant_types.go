package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OAuthGrant is what a user granted a client, written by the server when an authorization code is redeemed. Deleting it
// revokes all that was issued under it. It exists in the operator's namespace only.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=oauth
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.revokedAt) || (has(self.status) && has(self.status.revokedAt) && self.status.revokedAt == oldSelf.status.revokedAt)",message="a revocation is final: status.revokedAt can't be changed or removed"
// +kubebuilder:validation:XValidation:rule="self.?status.generation.orValue(1) - oldSelf.?status.generation.orValue(1) in [0, 1]",message="status.generation never decreases, and grows by one at a time"
// +kubebuilder:validation:XValidation:rule="!oldSelf.?status.revokedAt.hasValue() || self.?status.generation.orValue(1) == oldSelf.?status.generation.orValue(1)",message="a grant that is revoked is not refreshed: status.generation can't be changed any more"
// +kubebuilder:validation:XValidation:rule="has(self.spec.refreshUntil) || !self.?status.generation.hasValue()",message="a grant without spec.refreshUntil has no refresh tokens, and no status.generation"
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user.name`
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.clientID`
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.spec.authorizationServerName`
// +kubebuilder:printcolumn:name="Scopes",type=string,JSONPath=`.spec.scopes`
// +kubebuilder:printcolumn:name="Resources",type=string,JSONPath=`.spec.resources`,description="the APIs that it is for, and what it allows there",priority=1
// +kubebuilder:printcolumn:name="Expires",type=string,format=date-time,JSONPath=`.spec.expiresAt`,description="when nothing issued under the grant is valid any more, unless it was refreshed"
// +kubebuilder:printcolumn:name="Extended",type=string,format=date-time,JSONPath=`.status.expiresAt`,description="the same, since it was refreshed"
// +kubebuilder:printcolumn:name="Revoked",type=date,JSONPath=`.status.revokedAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type OAuthGrant struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a grant can't be changed; delete it to revoke it"
	Spec OAuthGrantSpec `json:"spec"`
	// +optional
	Status OAuthGrantStatus `json:"status,omitzero"`
}

// OAuthGrantSpec is what was granted, by whom, to whom. The UIDs bind it to those very objects: one created again under
// the same name is another.
type OAuthGrantSpec struct {
	// authorizationServerName is the issuer.
	// +required
	// +kubebuilder:validation:MaxLength=63
	AuthorizationServerName string `json:"authorizationServerName"`
	// clientID is the client's client_id.
	// +required
	// +kubebuilder:validation:MaxLength=127
	ClientID string `json:"clientID"`
	// clientUID is the OAuthClient's UID.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ClientUID string `json:"clientUID"`
	// user who granted it.
	// +required
	User GrantUser `json:"user"`
	// sessionID is the `sid` of the sign-in at which the grant was made (OpenID Connect Back-Channel Logout section 2.1).
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SessionID string `json:"sessionID,omitempty"`
	// authTime is when the user signed in.
	// +required
	AuthTime metav1.Time `json:"authTime"`
	// issuedAt is when the grant was made, by the server's clock.
	// +required
	IssuedAt metav1.MicroTime `json:"issuedAt"`
	// scopes are the identity scopes that were granted, such as openid and offline_access.
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
	// userinfoClaims are claims that the client asked for by name, to be told at the userinfo endpoint (OpenID Connect Core
	// section 5.5).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	UserinfoClaims []string `json:"userinfoClaims,omitempty"`
	// idTokenClaims are claims that the client asked for by name, to be told in the ID token.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	IDTokenClaims []string `json:"idTokenClaims,omitempty"`
	// expiresAt is when nothing issued under the grant is valid any more, unless it is refreshed: see status.expiresAt.
	// +required
	ExpiresAt metav1.Time `json:"expiresAt"`
	// refreshUntil is when the grant can't be refreshed any more; absent for a grant without refresh tokens.
	// +optional
	RefreshUntil *metav1.Time `json:"refreshUntil,omitempty"`
	// attempt tells one attempt to redeem a code from another, so that an attempt whose outcome was lost can be recognised.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Attempt string `json:"attempt"`
}

// GrantResource is a resource server with what was granted there.
type GrantResource struct {
	// identifier of the resource server.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Identifier string `json:"identifier"`
	// scopes granted there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=128
	Scopes []string `json:"scopes,omitempty"`
}

// GrantUser is the user of a grant.
type GrantUser struct {
	// name is the username.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// uid is the LocalUser's UID.
	// +required
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid"`
}

// OAuthGrantStatus says whether a grant was refreshed or revoked.
//
// +kubebuilder:validation:XValidation:rule="self.?generation.orValue(1) == 1 || (has(self.rotatedAt) && has(self.expiresAt))",message="rotatedAt and expiresAt come with generation"
type OAuthGrantStatus struct {
	// generation is that of the refresh token in force; 1 when absent.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Generation int64 `json:"generation,omitempty"`
	// rotatedAt is when that generation was made; the grant's creation when absent.
	// +optional
	RotatedAt *metav1.Time `json:"rotatedAt,omitempty"`
	// expiresAt replaces spec.expiresAt once the grant was refreshed.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// revokedAt is when the grant was revoked.
	// +optional
	RevokedAt *metav1.Time `json:"revokedAt,omitempty"`
	// revokedReason says why, in one word: CodeReplayed, RefreshTokenReused, RevokedByClient or SignedOut.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RevokedReason string `json:"revokedReason,omitempty"`
}

// Expiry is when nothing issued under the grant is valid any more.
func (g *OAuthGrant) Expiry() metav1.Time {
	if g.Status.ExpiresAt != nil {
		return *g.Status.ExpiresAt
	}
	return g.Spec.ExpiresAt
}

// OAuthGrantList is a list of OAuthGrants.
// +kubebuilder:object:root=true
type OAuthGrantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthGrant `json:"items"`
}
