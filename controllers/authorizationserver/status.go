package authorizationserver

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

// desiredStatus is the whole status of an AuthorizationServer. config is nil when it is refused, material when its keys can't be
// told; those that status has stay then.
func desiredStatus(as *v1alpha1.AuthorizationServer, config *registry.Config, material *keys.Material, problems []compile.Problem, now time.Time) v1alpha1.AuthorizationServerStatus {
	var positive []status.Positive
	if config != nil && config.Storage != nil {
		positive = append(positive, status.Positive{Type: v1alpha1.ConditionStorageReady, Reason: v1alpha1.ReasonStorageReady})
	}
	if config != nil && len(config.KubernetesAudiences) > 0 {
		positive = append(positive, verifiable(config))
	}
	s := v1alpha1.AuthorizationServerStatus{
		ObservedGeneration: as.Generation,
		Default:            as.Name == v1alpha1.DefaultAuthorizationServerName,
		Conditions:         status.Conditions(as.Status.Conditions, as.Generation, now, positive, problems),
	}
	if config != nil {
		s.Endpoints = endpoints(config)
	}
	switch {
	case material != nil:
		s.Keys = keyStatus(material.Signing, now)
	case config != nil:
		s.Keys = as.Status.Keys
	}
	return s
}

// verifiable says whether kube-apiserver can do without asking.
func verifiable(config *registry.Config) status.Positive {
	p := status.Positive{Type: v1alpha1.ConditionKubernetesVerifiable, Reason: v1alpha1.ReasonKubernetesVerifiable}
	if problem := compile.NotVerifiable(config); problem != nil {
		p.Notes = append(p.Notes, *problem)
	}
	return p
}

func endpoints(c *registry.Config) *v1alpha1.Endpoints {
	return &v1alpha1.Endpoints{
		Authorization:       c.Endpoint("/authorize"),
		Token:               c.Endpoint("/token"),
		Userinfo:            c.Endpoint("/userinfo"),
		JWKS:                c.Endpoint("/jwks"),
		Introspection:       c.Endpoint("/introspect"),
		Revocation:          c.Endpoint("/revoke"),
		EndSession:          c.Endpoint("/logout"),
		DeviceAuthorization: c.Endpoint("/device_authorization"),
		Discovery:           c.Endpoint("/.well-known/openid-configuration"),
	}
}

func keyStatus(signing []*keys.SigningKey, now time.Time) []v1alpha1.KeyStatus {
	var out []v1alpha1.KeyStatus
	for _, k := range signing {
		out = append(out, v1alpha1.KeyStatus{KID: k.KID, Algorithm: v1alpha1.SigningAlgorithm(k.Algorithm), State: state(k, now),
			ActiveAt: optional(k.ActiveAt), RetiredAt: optional(k.RetiredAt)})
	}
	return out
}

func state(k *keys.SigningKey, now time.Time) v1alpha1.KeyState {
	switch {
	case now.Before(k.ActiveAt):
		return v1alpha1.KeyPublished
	case k.RetiredAt.IsZero() || now.Before(k.RetiredAt):
		return v1alpha1.KeyActive
	}
	return v1alpha1.KeyRetired
}

func optional(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t}
}
