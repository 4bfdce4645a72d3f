package v1alpha1

// Condition types. Ready and Stalled follow kstatus; the others follow Gateway API.
const (
	// ConditionReady says whether the object is honoured as written.
	ConditionReady = "Ready"
	// ConditionStalled is True when only a change to this or another object can make it Ready: waiting will not help.
	ConditionStalled = "Stalled"
	// ConditionAccepted says whether the authorization servers named by the object accept it.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether every object the spec refers to exists and may be referred to.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionSecretReady says whether the client's Secret holds a usable client secret.
	ConditionSecretReady = "SecretReady"
	// ConditionStorageReady says whether the place can be used that an AuthorizationServer's spec.storage names.
	ConditionStorageReady = "StorageReady"
	// ConditionKubernetesVerifiable says whether a kube-apiserver that does not ask can verify the tokens that an AuthorizationServer with
	// spec.kubernetes issues for it (AuthenticationConfiguration). Ready does not wait for it: one that asks takes them all the same.
	ConditionKubernetesVerifiable = "KubernetesVerifiable"
)

// Reasons of conditions. The list is fixed: automation may match on it.
const (
	ReasonReady = "Ready"

	// ReasonAccepted and ReasonResolvedRefs are the reasons of the condition of that name when it is True.
	ReasonAccepted     = "Accepted"
	ReasonResolvedRefs = "ResolvedRefs"

	// ReasonAuthorizationServerNotFound: a named AuthorizationServer, or `default` when none is named, does not exist.
	ReasonAuthorizationServerNotFound = "AuthorizationServerNotFound"
	// ReasonAuthorizationServerNotReady: the named AuthorizationServer exists but is itself refused.
	ReasonAuthorizationServerNotReady = "AuthorizationServerNotReady"
	// ReasonNamespaceNotAllowed: the AuthorizationServer's allowedNamespaces does not select the object's namespace.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"
	// ReasonIdentifierNotPermitted: the namespace may not claim the ResourceServer's identifier.
	ReasonIdentifierNotPermitted = "IdentifierNotPermitted"
	// ReasonIdentifierConflict: an older ResourceServer holds the identifier.
	ReasonIdentifierConflict = "IdentifierConflict"
	// ReasonRefNotFound: an object the spec refers to does not exist.
	ReasonRefNotFound = "RefNotFound"
	// ReasonRefNotPermitted: the owner of a ResourceServer does not allow this client the scopes it asks for.
	ReasonRefNotPermitted = "RefNotPermitted"
	// ReasonRefNotUsable: an OAuthClient that a ResourceServer names exists and can't do what it is named for.
	ReasonRefNotUsable = "RefNotUsable"
	// ReasonRefNotAccepted: a ResourceServer that the spec refers to exists and is not accepted by the AuthorizationServer.
	ReasonRefNotAccepted = "RefNotAccepted"
	// ReasonDisabled is why an object is Ready that its own spec switches off: what it declares, nothing, is in force.
	ReasonDisabled = "Disabled"

	// ReasonSecretReady: the Secret holds a usable client secret.
	ReasonSecretReady = "SecretReady"
	// ReasonSecretNotNeeded: the client has no client secret: it is Public, signs assertions, or is known by its ServiceAccount.
	ReasonSecretNotNeeded = "SecretNotNeeded"
	// ReasonSecretNotFound: an Existing Secret is waited for.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretInvalid: the Secret exists, and lacks a key or holds a value that cannot be used.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonSecretRevoked: the Existing Secret holds a client secret that spec.authentication.clientSecret.revoked names.
	ReasonSecretRevoked = "SecretRevoked"
	// ReasonSecretConflict: a Secret of the name to be generated exists and belongs to somebody else.
	ReasonSecretConflict = "SecretConflict"

	// ReasonIssuerConflict: another, older AuthorizationServer has the same or a nested issuer.
	ReasonIssuerConflict = "IssuerConflict"
	// ReasonPrefixConflict: an older AuthorizationServer uses the same Kubernetes username or groups prefix.
	ReasonPrefixConflict = "PrefixConflict"
	// ReasonKeysNotReady: the issuer's keys have not been made, or cannot be read.
	ReasonKeysNotReady = "KeysNotReady"
	// ReasonStorageReady: the place where grants are kept was reached, and can be used.
	ReasonStorageReady = "StorageReady"
	// ReasonStorageUnreachable: it can't be reached, or not be used: the message says why.
	ReasonStorageUnreachable = "StorageUnreachable"
	// ReasonKubernetesVerifiable: kube-apiserver can verify the tokens for it.
	ReasonKubernetesVerifiable = "KubernetesVerifiable"
	// ReasonAlgorithmNotSupported: all keys of the issuer are for an algorithm that kube-apiserver does not know.
	ReasonAlgorithmNotSupported = "AlgorithmNotSupported"
	// ReasonIssuerNotHTTPS: kube-apiserver takes issuers by https only.
	ReasonIssuerNotHTTPS = "IssuerNotHTTPS"
	// ReasonInvalid: a value that CEL cannot check is wrong; the message says which.
	ReasonInvalid = "Invalid"
	// ReasonReconcileFailed: a step failed in a way that is tried again.
	ReasonReconcileFailed = "ReconcileFailed"
)

// DefaultAuthorizationServerName is the AuthorizationServer meant where a spec names none. It is resolved when objects
// are compiled and shown in status, never written into a spec.
const DefaultAuthorizationServerName = "default"
