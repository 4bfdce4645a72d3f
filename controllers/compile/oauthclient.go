package compile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/registry"
)

// ClientID is the client_id of an OAuthClient. A namespace has no dot, so no two clients share one.
func ClientID(c *v1alpha1.OAuthClient) string { return clientID(c.Namespace, c.Name) }

func clientID(namespace, name string) string { return namespace + "." + name }

// OAuthClient compiles a client for its AuthorizationServer, whose effective name it returns. The client is nil when it is
// refused as a whole, and when it is disabled, which is no problem; what it may not have at single resources is left out of it
// and told as problems.
func OAuthClient(w World, c *v1alpha1.OAuthClient) (string, *registry.Client, []Problem) {
	name := EffectiveAuthorizationServer(c.Spec.AuthorizationServerName)
	as, config, p := acceptedBy(w, name, c.Namespace)
	if p != nil {
		return name, nil, []Problem{*p}
	}
	client, p := clientOf(w, c, config)
	if p != nil {
		return name, nil, []Problem{*p}
	}
	var problems []Problem
	client.Access, problems = access(w, c, name)
	if k := as.Spec.Kubernetes; k != nil && slices.Contains(k.Clients, v1alpha1.ClientReference{Namespace: c.Namespace, Name: c.Name}) {
		r := kubernetesResource(config)
		client.Access = append(client.Access, registry.Access{Resource: r, Scopes: r.Scopes})
	}
	if c.Spec.Disabled {
		return name, nil, problems
	}
	return name, client, problems
}

// access joins the resources that a client asks for with what their owners allow.
func access(w World, c *v1alpha1.OAuthClient, authorizationServer string) ([]registry.Access, []Problem) {
	var (
		out      []registry.Access
		problems []Problem
	)
	for _, ref := range c.Spec.Resources {
		rs := w.ResourceServer(ref.Namespace, ref.Name)
		if rs == nil {
			problems = append(problems, unresolved(v1alpha1.ReasonRefNotFound, false,
				"ResourceServer %s/%s does not exist", ref.Namespace, ref.Name))
			continue
		}
		if !slices.Contains(EffectiveAuthorizationServers(rs.Spec.AuthorizationServerNames), authorizationServer) {
			problems = append(problems, unresolved(v1alpha1.ReasonRefNotAccepted, true,
				"ResourceServer %s/%s does not name AuthorizationServer %s in spec.authorizationServerNames", ref.Namespace, ref.Name, authorizationServer))
			continue
		}
		resource, p := resourceAt(w, rs, authorizationServer)
		if p != nil {
			problems = append(problems, unresolved(v1alpha1.ReasonRefNotAccepted, false,
				"ResourceServer %s/%s is not accepted: %s", ref.Namespace, ref.Name, p.Message))
			continue
		}
		granted, refused := allowed(w, c, rs, resource, ref.Scopes)
		problems = append(problems, refused...)
		if len(granted) > 0 {
			out = append(out, registry.Access{Resource: resource, Scopes: granted})
		}
	}
	return out, problems
}

// allowed are those of the scopes asked for that exist and that the owner lets this client have.
func allowed(w World, c *v1alpha1.OAuthClient, rs *v1alpha1.ResourceServer, resource *registry.Resource, asked []string) ([]*registry.Scope, []Problem) {
	var (
		granted         []*registry.Scope
		unknown, denied []string
		problems        []Problem
	)
	permitted := permits(w, c, rs)
	for _, s := range resource.Scopes {
		switch {
		case !slices.Contains(asked, s.Name):
		case permitted(s.Name):
			granted = append(granted, s)
		default:
			denied = append(denied, s.Name)
		}
	}
	for _, name := range asked {
		if !slices.ContainsFunc(resource.Scopes, func(s *registry.Scope) bool { return s.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(denied) > 0 {
		problems = append(problems, unresolved(v1alpha1.ReasonRefNotPermitted, true,
			"ResourceServer %s/%s does not allow this client %s; its owner would have to add to its spec.access: %s",
			rs.Namespace, rs.Name, list(denied), missingRule(c, denied)))
	}
	if len(unknown) > 0 {
		problems = append(problems, unresolved(v1alpha1.ReasonRefNotFound, false, "ResourceServer %s/%s declares no scope %s", rs.Namespace, rs.Name, list(unknown)))
	}
	return granted, problems
}

// missingRule is the access rule that would let the client ask for the scopes and nobody for anything else. It is JSON, so that it can
// be pasted into a manifest as into a patch: names that YAML would take for numbers, or for its own signs, are quoted.
func missingRule(c *v1alpha1.OAuthClient, scopes []string) string {
	rule, err := json.Marshal(v1alpha1.AccessRule{
		NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: c.Namespace}},
		Clients:           []string{c.Name}, Scopes: scopes,
	})
	if err != nil { // which strings can't bring about
		return err.Error()
	}
	return string(rule)
}

// permits says, scope by scope, whether the owner lets the client ask for it: any client of its own namespace, others by rule. Labels
// are looked at once, however many scopes there are.
func permits(w World, c *v1alpha1.OAuthClient, rs *v1alpha1.ResourceServer) func(scope string) bool {
	if c.Namespace == rs.Namespace {
		return func(string) bool { return true }
	}
	var scopes [][]string
	for i := range rs.Spec.Access {
		rule := &rs.Spec.Access[i]
		if !contains(rule.Clients, c.Name) {
			continue
		}
		if ns := w.Namespace(c.Namespace); ns != nil && selects(&rule.NamespaceSelector, ns.Labels) {
			scopes = append(scopes, rule.Scopes)
		}
	}
	return func(scope string) bool {
		return slices.ContainsFunc(scopes, func(allowed []string) bool { return contains(allowed, scope) })
	}
}

// contains honours "*" for all.
func contains(names []string, name string) bool {
	return slices.Contains(names, name) || slices.Contains(names, "*")
}

// secrets reads the digests in status. They need no trust: a digest that the controller did not make matches no secret. What the
// spec revokes is left out here, so that no server waits for the controller with it.
func secrets(status []v1alpha1.ClientSecretStatus, revoked []v1alpha1.ClientSecretID) []registry.Secret {
	var out []registry.Secret
	for _, s := range status {
		if slices.Contains(revoked, v1alpha1.ClientSecretID(s.ID)) {
			continue
		}
		digest, err := base64.RawURLEncoding.DecodeString(s.Digest)
		if err != nil || len(digest) != 32 {
			continue
		}
		secret := registry.Secret{ID: s.ID, Digest: [32]byte(digest)}
		if s.ExpiresAt != nil {
			secret.ExpiresAt = s.ExpiresAt.Time
		}
		out = append(out, secret)
	}
	return out
}

func unresolved(reason string, terminal bool, format string, args ...any) Problem {
	message := fmt.Sprintf(format, args...)
	return Problem{v1alpha1.ConditionResolvedRefs, reason, strings.ToValidUTF8(message, "?"), terminal}
}

func texts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
