package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LocalUser is a user whose password Latchkey checks itself. The object's name is the username; the password's hash is
// in a Secret of the operator's namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=oauth
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Email",type=string,JSONPath=`.spec.email`
// +kubebuilder:printcolumn:name="Disabled",type=boolean,JSONPath=`.spec.disabled`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of a LocalUser has at most 63 characters"
// +kubebuilder:validation:XValidation:rule="(has(self.spec.subject) ? self.spec.subject : self.metadata.name) == (has(oldSelf.spec.subject) ? oldSelf.spec.subject : oldSelf.metadata.name)",message="subject can't be changed: the user would become a stranger to every client"
type LocalUser struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec LocalUserSpec `json:"spec"`
	// +optional
	Status LocalUserStatus `json:"status,omitzero"`
}

// LocalUserSpec is what the platform declares of a user.
type LocalUserSpec struct {
	// authorizationServerNames are the issuers at which the user can sign in; only `default` when empty.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	AuthorizationServerNames []string `json:"authorizationServerNames,omitempty"`
	// subject is what `sub` is computed from; the object's name when empty. Keep it when a user is renamed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Subject string `json:"subject,omitempty"`
	// email address, taken as verified because the platform declares it.
	// +optional
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^[^@ ]+@[^@ ]+$')",message="email must be an address such as alice@example.com"
	Email string `json:"email,omitempty"`
	// displayName is the user's full name.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DisplayName string `json:"displayName,omitempty"`
	// groups are the user's permissions: scopes may require them, and TokenReview answers them with the issuer's prefix.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Groups []string `json:"groups,omitempty"`
	// passwordSecretRef names the Secret in the operator's namespace that holds the password's hash.
	// +optional
	PasswordSecretRef *PasswordSecretReference `json:"passwordSecretRef,omitempty"`
	// disabled refuses sign-in, sessions and tokens for as long as it is true.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
}

// PasswordSecretReference names a Secret in the operator's namespace.
type PasswordSecretReference struct {
	// name of the Secret. Its key password-hash holds an argon2id (PHC string) or bcrypt hash, as `latchkey hash-password` prints.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",message="the name of a Secret has lower-case letters, digits, dashes and dots, and begins and ends with a letter or digit"
	Name string `json:"name"`
}

// LocalUserStatus is what the controller observed of a user.
type LocalUserStatus struct {
	// observedGeneration is the generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions: Ready, Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LocalUserList is a list of LocalUsers.
// +kubebuilder:object:root=true
type LocalUserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LocalUser `json:"items"`
}
