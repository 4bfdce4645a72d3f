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
	// status is what the controller observed. Until it has looked, observedGeneration is -1: kstatus would take no status at all for success.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
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
	// profile is what else clients may learn of the user, by the scopes profile, address and phone.
	// +optional
	Profile *UserProfile `json:"profile,omitempty"`
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
	// revokeTokensIssuedBefore ends all sessions, codes, grants and tokens of the user from before that time, in whole seconds. A time that is
	// still to come takes effect when it comes.
	// +optional
	RevokeTokensIssuedBefore *metav1.Time `json:"revokeTokensIssuedBefore,omitempty"`
}

// UserProfile are the standard claims of OpenID Connect Core section 5.1 that have no field of their own in the spec.
type UserProfile struct {
	// givenName is the first name, or all first names (claim given_name).
	// +optional
	// +kubebuilder:validation:MaxLength=128
	GivenName string `json:"givenName,omitempty"`
	// familyName is the last name, or all last names (claim family_name).
	// +optional
	// +kubebuilder:validation:MaxLength=128
	FamilyName string `json:"familyName,omitempty"`
	// middleName is the middle name, or all of them (claim middle_name).
	// +optional
	// +kubebuilder:validation:MaxLength=128
	MiddleName string `json:"middleName,omitempty"`
	// nickname is a casual name.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Nickname string `json:"nickname,omitempty"`
	// profileURL is a page about the user (claim profile).
	// +optional
	ProfileURL ProfileURL `json:"profileURL,omitempty"`
	// pictureURL is a picture of the user (claim picture).
	// +optional
	PictureURL ProfileURL `json:"pictureURL,omitempty"`
	// website is the user's, or their organization's.
	// +optional
	Website ProfileURL `json:"website,omitempty"`
	// gender as the user wants it told: female, male or anything else.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Gender string `json:"gender,omitempty"`
	// birthdate is YYYY-MM-DD, 0000-MM-DD without the year, or YYYY alone.
	// +optional
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{4}(-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9])))?$')",message="birthdate must be a date such as 1998-07-04, 0000-07-04 without the year, or a year such as 1998"
	Birthdate string `json:"birthdate,omitempty"`
	// zoneinfo is a time zone by its IANA name.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')",message="zoneinfo must be a time zone by its IANA name, such as Europe/Berlin"
	Zoneinfo string `json:"zoneinfo,omitempty"`
	// locale is a language tag (BCP 47).
	// +optional
	// +kubebuilder:validation:MaxLength=35
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$')",message="locale must be a language tag (BCP 47) such as en or de-CH"
	Locale string `json:"locale,omitempty"`
	// phoneNumber is in E.164 form, taken as verified because the platform declares it (claims phone_number and phone_number_verified).
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+][1-9][0-9]{1,14}$')",message="phoneNumber must be in E.164 form: a plus sign and 2 to 15 digits, such as +14255551212"
	PhoneNumber string `json:"phoneNumber,omitempty"`
	// address is the user's preferred postal address.
	// +optional
	Address *PostalAddress `json:"address,omitempty"`
}

// ProfileURL is a web address in a user's profile.
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="self.startsWith('https://') && isURL(self) && url(self).getHost().size() > 0 && self.matches('^[!-~]+$')",message="profileURL, pictureURL and website must be https URLs in ASCII, such as https://people.example/alice"
type ProfileURL string

// PostalAddress is the address claim (OpenID Connect Core section 5.1.1).
type PostalAddress struct {
	// formatted is the whole address as it would stand on a label; lines are separated by \n.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Formatted string `json:"formatted,omitempty"`
	// streetAddress is street, house number and the like; lines are separated by \n.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	StreetAddress string `json:"streetAddress,omitempty"`
	// locality is the city.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Locality string `json:"locality,omitempty"`
	// region is the state, province or prefecture.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Region string `json:"region,omitempty"`
	// postalCode is the zip code.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PostalCode string `json:"postalCode,omitempty"`
	// country is the country's name.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Country string `json:"country,omitempty"`
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
