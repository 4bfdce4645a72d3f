package token

import (
	"slices"

	"github.com/latchkey-io/latchkey/server/registry"
)

// What a token says was granted is not all that counts. An owner may have withdrawn a scope, or all access, from the client since; an
// administrator may have taken the client off the list for kube-apiserver; the user may have left the group that a scope requires.
// Whoever answers for a token answers with what counts now.

// ResourceOf is the resource that answers to an audience of the issuer's tokens. The issuer itself does not: a token for it alone
// is for userinfo.
func ResourceOf(iss *registry.Issuer, audience string) (*registry.Resource, bool) {
	if slices.Contains(iss.KubernetesAudiences, audience) {
		return &registry.Resource{Identifier: audience, Kubernetes: true}, true
	}
	r, ok := iss.Resources.Get(audience)
	return r, ok && !r.Kubernetes
}

// Counting are those of the audiences that the token is for and that its client may still ask for, in their order. With none left,
// the token is worth nothing to who answers to them.
func (a *Active) Counting(iss *registry.Issuer, audiences []string) []string {
	return slices.DeleteFunc(slices.Clone(audiences), func(audience string) bool {
		_, may := a.accessTo(iss, audience)
		return !may || !slices.Contains(a.Audience, audience)
	})
}

// CountingScopes are those of the token's scopes that count now at the audiences: the identity scopes that the client still
// declares, and those of the audiences' own that it may still ask for and the user may still grant.
func (a *Active) CountingScopes(iss *registry.Issuer, audiences []string) []string {
	var counted []string
	for _, name := range a.Scopes {
		counts := slices.Contains(a.Client.Scopes, name)
		for _, audience := range audiences {
			if access, ok := a.accessTo(iss, audience); ok {
				scope, ok := access.Scope(name)
				counts = counts || ok && a.permits(scope)
			}
		}
		if counts {
			counted = append(counted, name)
		}
	}
	return counted
}

// permits: a scope that requires a group is granted by its members. A client in its own right is a member of none.
func (a *Active) permits(s *registry.Scope) bool {
	if a.User == nil {
		return len(s.RequiredGroups) == 0
	}
	return s.PermittedTo(a.User)
}

// accessTo is what the client may ask for now in tokens with the audience. Nothing at kube-apiserver for a workload, which has a token
// of its own there.
func (a *Active) accessTo(iss *registry.Issuer, audience string) (*registry.Access, bool) {
	kubernetes := slices.Contains(iss.KubernetesAudiences, audience)
	if kubernetes && a.Workload != nil {
		return nil, false
	}
	i := slices.IndexFunc(a.Client.Access, func(access registry.Access) bool {
		if kubernetes {
			return access.Resource.Kubernetes
		}
		return access.Resource.Identifier == audience && !access.Resource.Kubernetes
	})
	if i < 0 {
		return nil, false
	}
	return &a.Client.Access[i], true
}
