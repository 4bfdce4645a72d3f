package oauth

// ClaimLatchkey is the claim of access tokens that holds what is Latchkey's own, as ServiceAccount tokens have kubernetes.io.
const ClaimLatchkey = "oauth.latchkey.io"

// Keys of user.extra, by which Kubernetes is told more of a token than whose it is: in answers to TokenReviews, and by kube-apiserver
// where that verifies tokens itself.
const (
	// ExtraCredentialID is Kubernetes' own key; its value is "JTI=" and the token's jti.
	ExtraCredentialID = "authentication.kubernetes.io/credential-id"
	// ExtraIssuer is the issuer identifier.
	ExtraIssuer = "oauth.latchkey.io/issuer"
	// ExtraClientID is the client_id.
	ExtraClientID = "oauth.latchkey.io/client-id"
	// ExtraScope are the scopes, one an item; in answers to TokenReviews those that count now.
	ExtraScope = "oauth.latchkey.io/scope"
	// ExtraActor are the client_ids of those who act on behalf of the user, client or workload, the present one first; absent unless the
	// token was got by exchange (RFC 8693).
	ExtraActor = "oauth.latchkey.io/actor"
	// ExtraGrantID is the grant's id, absent where no user takes part.
	ExtraGrantID = "oauth.latchkey.io/grant-id"
)

// KubernetesPath begins the URLs, on the listener for TokenReviews, of what kube-apiserver verifies the tokens of an issuer with.
const KubernetesPath = "/kubernetes/"

// KubernetesDiscoveryPath is where the metadata of the AuthorizationServer of that name is (discoveryURL of an AuthenticationConfiguration).
func KubernetesDiscoveryPath(name string) string {
	return KubernetesPath + name + "/.well-known/openid-configuration"
}

// KubernetesJWKSPath is where its keys are, which the metadata names.
func KubernetesJWKSPath(name string) string { return KubernetesPath + name + "/jwks" }
