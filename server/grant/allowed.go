package grant

import (
	"slices"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// approval is what a user approved, as it is remembered: names alone.
type approval struct {
	scopes                        []string
	targets                       []store.Target
	userinfoClaims, idTokenClaims []string
}

// stillAllowed is what of the approval the client may still ask for and the user may still grant: declarations and group
// memberships may have changed since. A resource at which nothing is left is dropped; when that is so for all of them, or no
// scope at all is left, the answer is invalid_grant.
func (a *approval) stillAllowed(c *registry.Client, u *registry.User) (*registry.Ask, error) {
	ask := &registry.Ask{
		UserinfoClaims: token.AllowedClaims(c, a.userinfoClaims),
		IDTokenClaims:  token.AllowedClaims(c, a.idTokenClaims),
	}
	for _, s := range a.scopes {
		if i := slices.Index(c.Scopes, s); i >= 0 {
			ask.Identity = append(ask.Identity, c.Scopes[i]) // which all grants share
		}
	}
	for _, granted := range a.targets {
		if t, ok := allowedAt(c, u, granted); ok {
			ask.Targets = append(ask.Targets, t)
		}
	}
	if len(ask.Targets) == 0 && (len(a.targets) > 0 || len(ask.Identity) == 0) {
		return nil, oauth.Errorf(oauth.InvalidGrant, "nothing of what was granted is allowed any more")
	}
	return ask, nil
}

// allowedAt is false for a resource that the client may not ask for any more, or with no scope of those that were granted.
func allowedAt(c *registry.Client, u *registry.User, granted store.Target) (registry.Target, bool) {
	access, ok := c.AccessTo(granted.Resource)
	if !ok {
		return registry.Target{}, false
	}
	t := registry.Target{Resource: access.Resource}
	for _, name := range granted.Scopes {
		if s, ok := access.Scope(name); ok && s.PermittedTo(u) {
			t.Scopes = append(t.Scopes, s)
		}
	}
	return t, len(t.Scopes) > 0 || len(granted.Scopes) == 0
}

// chooseTarget finds the one resource that the token is for: the one the token request names, else the only one that was
// approved (RFC 8707 section 2.2). It is nil where identity scopes alone were approved. allowed is what is left of the approval.
func (a *approval) chooseTarget(requested []string, allowed *registry.Ask) (*registry.Target, error) {
	switch {
	case len(requested) > 1:
		return nil, oauth.Errorf(oauth.InvalidTarget, "a token is for one resource: name one")
	case len(requested) == 0 && len(a.targets) > 1:
		return nil, oauth.Errorf(oauth.InvalidTarget, "several resources were granted: name one with the resource parameter")
	case len(requested) == 1 && !slices.ContainsFunc(a.targets, func(t store.Target) bool { return t.Resource == requested[0] }):
		return nil, oauth.Errorf(oauth.InvalidTarget, "the resource is not one that was granted")
	case len(a.targets) == 0:
		return nil, nil
	}
	wanted := a.targets[0].Resource
	if len(requested) == 1 {
		wanted = requested[0]
	}
	i := slices.IndexFunc(allowed.Targets, func(t registry.Target) bool { return t.Resource.Identifier == wanted })
	if i < 0 {
		return nil, oauth.Errorf(oauth.InvalidGrant, "nothing of what was granted at the resource is allowed any more")
	}
	return &allowed.Targets[i], nil
}
