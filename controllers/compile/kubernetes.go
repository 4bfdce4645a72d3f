package compile

import (
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// MaxKubernetesLifetime bounds tokens for kube-apiserver: where it verifies them itself, by the issuer's keys, it learns of a revocation at
// `exp` alone.
const MaxKubernetesLifetime = 5 * time.Minute

// kubernetesResource is the built-in resource that stands for kube-apiserver.
func kubernetesResource(config *registry.Config) *registry.Resource {
	return &registry.Resource{
		Identifier: config.KubernetesAudiences[0], UID: config.UID, DisplayName: "Kubernetes API",
		Scopes:   []*registry.Scope{{Name: oauth.ScopeKubernetes, Description: "Act as you in the Kubernetes cluster"}},
		Lifetime: min(config.Lifetimes.AccessToken, MaxKubernetesLifetime), Algorithm: kubernetesAlgorithm(config), Kubernetes: true,
	}
}

// kubernetesAlgorithm is one that kube-apiserver can verify where the issuer has one: it knows no EdDSA.
func kubernetesAlgorithm(config *registry.Config) keys.Algorithm {
	if config.AccessTokenAlgorithm != keys.EdDSA {
		return config.AccessTokenAlgorithm
	}
	for _, a := range config.Algorithms {
		if a != keys.EdDSA {
			return a
		}
	}
	return config.AccessTokenAlgorithm
}

// NotVerifiable says why kube-apiserver can't verify the issuer's tokens itself; nil when it can.
func NotVerifiable(config *registry.Config) *Problem {
	switch {
	case !config.Secure:
		return &Problem{Condition: v1alpha1.ConditionKubernetesVerifiable, Reason: v1alpha1.ReasonIssuerNotHTTPS, Message: "an AuthenticationConfiguration takes issuers by https only; kube-apiserver must ask about the tokens (webhook)"}
	case kubernetesAlgorithm(config) == keys.EdDSA:
		return &Problem{Condition: v1alpha1.ConditionKubernetesVerifiable, Reason: v1alpha1.ReasonAlgorithmNotSupported, Message: "kube-apiserver does not know EdDSA; add ES256 to spec.signing.algorithms, or have it ask about the tokens (webhook)"}
	}
	return nil
}
