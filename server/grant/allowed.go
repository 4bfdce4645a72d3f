package grant

import (
	"slices"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// stillAllowed is what of the granted scopes the client may still ask for and the user may still grant: declarations and
// group memberships may have changed since consent. A resource at which nothing is left is dropped; when that is so for
// all of them, or no scope at all is left, the answer is invalid_grant.
func stillAllowed(c *registry.Client, u *registry.User, code *token.Code) (*registry.Ask, error) {
	ask := &registry.Ask{UserinfoClaims: code.UserinfoClaims, IDTokenClaims: code.IDTokenClaims}
	for _, s := range code.Scopes {
		if slices.Contains(c.Scopes, s) {
			ask.Identity = append(ask.Identity, s)
		}
	}
	for _, granted := range code.Targets {
		if t := allowedAt(c, u, granted); len(t.Scopes) > 0 {
			ask.Targets = append(ask.Targets, t)
		}
	}
	if len(ask.Targets) == 0 && (len(code.Targets) > 0 || len(ask.Identity) == 0) {
		return nil, oauth.Errorf(oauth.InvalidGrant, "nothing of what was granted is allowed any more")
	}
	return ask, nil
}

func allowedAt(c *registry.Client, u *registry.User, granted store.Target) registry.Target {
	access, ok := c.AccessTo(granted.Resource)
	if !ok {
		return registry.Target{}
	}
	t := registry.Target{Resource: access.Resource}
	for _, name := range granted.Scopes {
		if s, ok := access.Scope(name); ok && s.PermittedTo(u) {
			t.Scopes = append(t.Scopes, s)
		}
	}
	return t
}

// chooseTarget finds the one resource that the token is for: the one the token request names, else the only one of the
// code (RFC 8707 section 2.2). It is nil for a code of identity scopes alone.
func chooseTarget(requested []string, code *token.Code, ask *registry.Ask) (*registry.Target, error) {
	switch {
	case len(requested) > 1:
		return nil, oauth.Errorf(oauth.InvalidTarget, "a token is for one resource: name one")
	case len(requested) == 0 && len(code.Targets) > 1:
		return nil, oauth.Errorf(oauth.InvalidTarget, "the code was issued for several resources: name one with the resource parameter")
	case len(requested) == 1 && !slices.ContainsFunc(code.Targets, func(t store.Target) bool { return t.Resource == requested[0] }):
		return nil, oauth.Errorf(oauth.InvalidTarget, "the resource is not one that the code was issued for")
	case len(code.Targets) == 0:
		return nil, nil
	}
	wanted := code.Targets[0].Resource
	if len(requested) == 1 {
		wanted = requested[0]
	}
	i := slices.IndexFunc(ask.Targets, func(t registry.Target) bool { return t.Resource.Identifier == wanted })
	if i < 0 {
		return nil, oauth.Errorf(oauth.InvalidGrant, "nothing of what was granted at the resource is allowed any more")
	}
	return &ask.Targets[i], nil
}
