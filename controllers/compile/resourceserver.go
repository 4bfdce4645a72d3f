package compile

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

// ResourceServer compiles an API for each AuthorizationServer that accepts it.
func ResourceServer(w World, rs *v1alpha1.ResourceServer) (map[string]*registry.Resource, []Problem) {
	out := map[string]*registry.Resource{}
	var problems []Problem
	for _, name := range EffectiveAuthorizationServers(rs.Spec.AuthorizationServerNames) {
		resource, p := resourceAt(w, rs, name)
		if p != nil {
			problems = append(problems, *p)
			continue
		}
		out[name] = resource
	}
	for i := range rs.Spec.Access {
		if p := badSelector(fmt.Sprintf("spec.access[%d].namespaceSelector", i), &rs.Spec.Access[i].NamespaceSelector); p != nil {
			problems = append(problems, *p)
		}
	}
	return out, problems
}

// resourceAt compiles an API for one AuthorizationServer.
func resourceAt(w World, rs *v1alpha1.ResourceServer, name string) (*registry.Resource, *Problem) {
	type compiled struct {
		resource *registry.Resource
		problem  *Problem
	}
	out := recall(w, resourceKey{rs.Namespace, rs.Name, name}, func(w World) compiled {
		w.ResourceServer(rs.Namespace, rs.Name) // which is to be known as read
		resource, p := compileResource(w, rs, name)
		return compiled{resource, p}
	})
	return out.resource, out.problem
}

func compileResource(w World, rs *v1alpha1.ResourceServer, name string) (*registry.Resource, *Problem) {
	config, p := mayClaim(w, rs, name)
	if p != nil {
		return nil, p
	}
	as := w.AuthorizationServer(name)
	for _, other := range w.ResourceServersClaiming(rs.Spec.Identifier) {
		// What is not assigned to it can be claimed in vain by anybody, any number of times: it is found out at once.
		if other.UID == rs.UID || !older(other, rs) || !assigned(w, as, other) ||
			!slices.Contains(EffectiveAuthorizationServers(other.Spec.AuthorizationServerNames), name) {
			continue
		}
		if _, p := mayClaim(w, other, name); p == nil {
			return nil, &Problem{v1alpha1.ConditionAccepted, v1alpha1.ReasonIdentifierConflict,
				fmt.Sprintf("identifier %s belongs to ResourceServer %s/%s, which is older; use another identifier", rs.Spec.Identifier, other.Namespace, other.Name), true}
		}
	}
	resource := &registry.Resource{
		Identifier: rs.Spec.Identifier, Namespace: rs.Namespace, Name: rs.Name, UID: string(rs.UID),
		DisplayName: firstNonEmpty(rs.Spec.DisplayName, rs.Name),
		Lifetime:    config.Lifetimes.AccessToken, Algorithm: config.AccessTokenAlgorithm,
	}
	if t := rs.Spec.AccessToken; t != nil {
		resource.Lifetime = min(durationOr(t.Lifetime, resource.Lifetime), resource.Lifetime)
		if t.SigningAlgorithm != "" {
			resource.Algorithm = keys.Algorithm(t.SigningAlgorithm)
		}
	}
	if p := signable("spec.accessToken.signingAlgorithm", resource.Algorithm, config); p != nil {
		return nil, p
	}
	if rs.Spec.Introspection != nil {
		for _, c := range rs.Spec.Introspection.Clients {
			resource.Introspectors = append(resource.Introspectors, clientID(rs.Namespace, c))
		}
	}
	if rs.Spec.TokenExchange != nil {
		for _, c := range rs.Spec.TokenExchange.Clients {
			resource.Exchangers = append(resource.Exchangers, clientID(rs.Namespace, c))
		}
	}
	for _, s := range rs.Spec.Scopes {
		resource.Scopes = append(resource.Scopes, &registry.Scope{Name: s.Name, Description: s.Description, RequiredGroups: s.RequiredGroups})
	}
	return resource, nil
}

// mayClaim says whether the AuthorizationServer takes the ResourceServer and lets its namespace claim the identifier.
func mayClaim(w World, rs *v1alpha1.ResourceServer, name string) (*registry.Config, *Problem) {
	as, config, p := acceptedBy(w, name, rs.Namespace)
	if p != nil {
		return nil, p
	}
	if holder := reserved(w, rs.Spec.Identifier); holder != "" {
		return nil, &Problem{v1alpha1.ConditionAccepted, v1alpha1.ReasonIdentifierNotPermitted,
			fmt.Sprintf("identifier %s is the issuer, or an audience of kube-apiserver, at AuthorizationServer %s; use https://%s.%s.svc", rs.Spec.Identifier, holder, rs.Name, rs.Namespace), true}
	}
	if apiServer(rs.Spec.Identifier) {
		return nil, &Problem{v1alpha1.ConditionAccepted, v1alpha1.ReasonIdentifierNotPermitted,
			fmt.Sprintf("identifier %s is the address of kube-apiserver, which takes it for its own audience; use another identifier", rs.Spec.Identifier), true}
	}
	if !assigned(w, as, rs) {
		return nil, &Problem{v1alpha1.ConditionAccepted, v1alpha1.ReasonIdentifierNotPermitted,
			fmt.Sprintf("namespace %s may not claim %s at AuthorizationServer %s; use https://%s.%s.svc, or have the platform assign a prefix to the namespace in spec.resourceIdentifiers of that AuthorizationServer", rs.Namespace, rs.Spec.Identifier, name, rs.Name, rs.Namespace), true}
	}
	return config, nil
}

// acceptedBy finds the AuthorizationServer and says whether it accepts objects of the namespace.
func acceptedBy(w World, name, namespace string) (*v1alpha1.AuthorizationServer, *registry.Config, *Problem) {
	type accepted struct {
		as      *v1alpha1.AuthorizationServer
		config  *registry.Config
		problem *Problem
	}
	out := recall(w, acceptanceKey{name, namespace}, func(w World) accepted {
		as, config, p := accepts(w, name, namespace)
		return accepted{as, config, p}
	})
	return out.as, out.config, out.problem
}

func accepts(w World, name, namespace string) (*v1alpha1.AuthorizationServer, *registry.Config, *Problem) {
	as := w.AuthorizationServer(name)
	if as == nil {
		return nil, nil, &Problem{v1alpha1.ConditionAccepted, v1alpha1.ReasonAuthorizationServerNotFound,
			fmt.Sprintf("AuthorizationServer %s does not exist; create it, or name another", name), false}
	}
	config, refusal := configOf(w, as)
	if config == nil {
		return nil, nil, &Problem{v1alpha1.ConditionAccepted, v1alpha1.ReasonAuthorizationServerNotReady,
			fmt.Sprintf("AuthorizationServer %s is itself refused: %s", name, refusal), false}
	}
	if as.Spec.AllowedNamespaces == nil {
		return as, config, nil
	}
	ns := w.Namespace(namespace)
	if ns == nil || !selects(&as.Spec.AllowedNamespaces.Selector, ns.Labels) {
		return nil, nil, &Problem{v1alpha1.ConditionAccepted, v1alpha1.ReasonNamespaceNotAllowed,
			fmt.Sprintf("AuthorizationServer %s does not accept objects of namespace %s; have the platform label the namespace as its spec.allowedNamespaces asks", name, namespace), true}
	}
	return as, config, nil
}

// configOf is the configuration of an AuthorizationServer, or why there is none.
func configOf(w World, as *v1alpha1.AuthorizationServer) (*registry.Config, string) {
	type compiled struct {
		config  *registry.Config
		refusal string
	}
	out := recall(w, configKey{as.Name}, func(w World) compiled {
		w.AuthorizationServer(as.Name) // which is to be known as read
		config, problems := AuthorizationServer(w, as)
		if config == nil {
			return compiled{nil, problems[0].Message}
		}
		return compiled{config, ""}
	})
	return out.config, out.refusal
}

// reserved returns the AuthorizationServer at which the identifier stands for the issuer itself or for kube-apiserver.
func reserved(w World, identifier string) string {
	canonical := strings.TrimRight(identifier, "/")
	for _, as := range w.AuthorizationServers() {
		if canonical == as.Spec.Issuer {
			return as.Name
		}
		if k := as.Spec.Kubernetes; k != nil {
			for _, audience := range k.Audiences {
				if canonical == strings.TrimRight(audience, "/") {
					return as.Name
				}
			}
		}
	}
	return ""
}

// apiServer says whether an identifier is an address of kube-apiserver. Most clusters take one for an audience of their own, whether
// or not an AuthorizationServer declares it.
func apiServer(identifier string) bool {
	u, err := url.Parse(identifier)
	return err == nil && (u.Hostname() == "kubernetes.default.svc" || strings.HasPrefix(u.Hostname(), "kubernetes.default.svc."))
}

// assigned says whether the namespace may claim the identifier: by its Service name, or by assignment.
func assigned(w World, as *v1alpha1.AuthorizationServer, rs *v1alpha1.ResourceServer) bool {
	if own := rs.Name + "." + rs.Namespace + ".svc"; strings.HasPrefix(rs.Spec.Identifier, "https://"+own) { // parsing is dear
		if u, err := url.Parse(rs.Spec.Identifier); err == nil && u.Hostname() == own {
			return true
		}
	}
	for _, a := range as.Spec.ResourceIdentifiers {
		if !strings.HasPrefix(rs.Spec.Identifier, a.Prefix) && rs.Spec.Identifier+"/" != a.Prefix {
			continue
		}
		if ns := w.Namespace(rs.Namespace); ns != nil && selects(&a.NamespaceSelector, ns.Labels) {
			return true
		}
	}
	return false
}
