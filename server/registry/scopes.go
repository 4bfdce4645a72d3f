package registry

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// Ask is what a client asks for, or what is left of it for a user: identity scopes, and scopes at resource servers. It is
// a value that nobody changes.
type Ask struct {
	// Identity are the identity scopes, in the order of the request.
	Identity []string
	// Targets are the resource servers, in the order of the request.
	Targets []Target
	// UserinfoClaims and IDTokenClaims are claims asked for by name (OpenID Connect Core section 5.5), beyond what the identity
	// scopes bring, each belonging to a scope that the client declares.
	UserinfoClaims, IDTokenClaims []string
}

// Target is a resource server with the scopes asked for there.
type Target struct {
	Resource *Resource
	Scopes   []*Scope
}

// Resolve gives a meaning to the `scope` and `resource` parameters (RFC 6749 section 3.3, RFC 8707 section 2) of a client's
// authorization request. It is pure, and the same wherever what a user approves is asked for.
//
// A scope is an identity scope that the client declares, or one that the client may ask for at one of the resources. With no
// resource given, it is the one that has all the scopes asked for. With no scope given, it is all that the client may ask for at the
// resources given, or at its only one. A resource with identity scopes alone is asked for by its name only: a token for it says
// no more than who the user is. A scope that the client may not ask for is invalid_scope; a resource that it may not ask for, or
// that must be named and isn't, is invalid_target. offline_access is ignored for a client that can't refresh, or doesn't declare it
// (OpenID Connect Core section 11): libraries ask for it wherever the metadata has it.
func Resolve(c *Client, scopes, resources []string) (*Ask, *oauth.Error) {
	if len(scopes) == 0 {
		return everything(c, resources)
	}
	ask, rest := &Ask{}, []string{}
	for _, s := range scopes {
		switch {
		case !isIdentity(s):
			rest = append(rest, s)
		case s == oauth.ScopeOfflineAccess && !refreshable(c):
		case slices.Contains(c.Scopes, s):
			ask.Identity = append(ask.Identity, s)
		default:
			return nil, errScope(s)
		}
	}
	if err := knownScopes(c, rest); err != nil {
		return nil, err
	}
	var err *oauth.Error
	switch {
	case len(resources) > 0:
		ask.Targets, err = namedTargets(c, rest, resources, len(ask.Identity) > 0)
	case len(rest) > 0:
		ask.Targets, err = impliedTarget(c, rest)
	case len(ask.Identity) == 0:
		err = oauth.Errorf(oauth.InvalidScope, "offline_access alone asks for nothing")
	}
	if err != nil {
		return nil, err
	}
	return ask, nil
}

// ResolveForClient is Resolve for what a client asks for in its own right (RFC 6749 section 4.4): one resource, no identity scope, and no
// scope that wants a user in a group.
func ResolveForClient(c *Client, scopes, resources []string) (*Ask, *oauth.Error) {
	return ResolveOne(c, scopes, resources, func(_ *Resource, s *Scope) bool { return len(s.RequiredGroups) == 0 })
}

// ResolveOne is Resolve for a token that is for one resource, says nothing about who the user is, and has no scope but those that may be
// had.
func ResolveOne(c *Client, scopes, resources []string, may func(*Resource, *Scope) bool) (*Ask, *oauth.Error) {
	if slices.ContainsFunc(scopes, isIdentity) {
		return nil, oauth.Errorf(oauth.InvalidScope, "identity scopes are about users who sign in, and here is none")
	}
	own := *c
	own.Access = nil
	for _, a := range c.Access {
		left := slices.DeleteFunc(slices.Clone(a.Scopes), func(s *Scope) bool { return !may(a.Resource, s) })
		own.Access = append(own.Access, Access{Resource: a.Resource, Scopes: left})
	}
	ask, err := Resolve(&own, scopes, resources)
	switch {
	case err != nil:
		return nil, err
	case len(ask.Targets) > 1:
		return nil, oauth.Errorf(oauth.InvalidTarget, "a token is for one resource: name one")
	}
	return ask, nil
}

// everything is all that the client may ask for at the resources, or at its only one.
func everything(c *Client, resources []string) (*Ask, *oauth.Error) {
	if len(resources) == 0 && len(c.Access) == 1 {
		resources = []string{c.Access[0].Resource.Identifier}
	}
	if len(resources) == 0 {
		return nil, oauth.Errorf(oauth.InvalidScope, "scope is missing: name what is asked for, or a resource")
	}
	ask := &Ask{}
	for _, identifier := range resources {
		access, ok := c.AccessTo(identifier)
		switch {
		case !ok:
			return nil, errTarget()
		case len(access.Scopes) == 0:
			return nil, oauth.Errorf(oauth.InvalidScope, "there is no scope that the client may ask for at the resource")
		case !slices.Contains(ask.Resources(), identifier):
			ask.Targets = append(ask.Targets, Target{Resource: access.Resource, Scopes: access.Scopes})
		}
	}
	return ask, nil
}

// refreshable says whether the client may ask for offline_access. Who may not is not refused: libraries ask for it wherever the
// metadata has it.
func refreshable(c *Client) bool {
	return slices.Contains(c.GrantTypes, oauth.GrantRefreshToken) && slices.Contains(c.Scopes, oauth.ScopeOfflineAccess)
}

func isIdentity(scope string) bool {
	switch scope {
	case oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeAddress, oauth.ScopePhone, oauth.ScopeGroups,
		oauth.ScopeOfflineAccess:
		return true
	}
	return false
}

func errScope(scope string) *oauth.Error {
	return oauth.Errorf(oauth.InvalidScope, "the client may not ask for the scope %s", oauth.PrintableASCII(scope[:min(len(scope), 128)]))
}

func errTarget() *oauth.Error {
	return oauth.Errorf(oauth.InvalidTarget, "the client may not ask for a resource that the request names")
}

// knownScopes refuses what the client may ask for nowhere.
func knownScopes(c *Client, scopes []string) *oauth.Error {
	for _, s := range scopes {
		if !slices.ContainsFunc(c.Access, func(a Access) bool { _, ok := a.Scope(s); return ok }) {
			return errScope(s)
		}
	}
	return nil
}

// namedTargets finds the resources, and for each the scopes that are asked for there. There are none only where the request
// asks for identity scopes alone.
func namedTargets(c *Client, scopes, resources []string, identity bool) ([]Target, *oauth.Error) {
	var targets []Target
	seen := map[string]bool{}
	for _, identifier := range resources {
		if seen[identifier] {
			continue
		}
		seen[identifier] = true
		access, ok := c.AccessTo(identifier)
		if !ok {
			return nil, errTarget()
		}
		t := Target{Resource: access.Resource}
		for _, s := range scopes {
			if scope, ok := access.Scope(s); ok {
				t.Scopes = append(t.Scopes, scope)
			}
		}
		if len(t.Scopes) == 0 && (len(scopes) > 0 || !identity) {
			return nil, oauth.Errorf(oauth.InvalidScope, "the request names a resource, but no scope of it")
		}
		targets = append(targets, t)
	}
	for _, s := range scopes {
		if !slices.ContainsFunc(targets, func(t Target) bool { return t.has(s) }) {
			return nil, oauth.Errorf(oauth.InvalidScope, "the request names a scope, but not the resource that it belongs to")
		}
	}
	return targets, nil
}

// impliedTarget finds the one resource that has all the scopes.
func impliedTarget(c *Client, scopes []string) ([]Target, *oauth.Error) {
	var found []Target
	for i := range c.Access {
		t := Target{Resource: c.Access[i].Resource}
		for _, s := range scopes {
			if scope, ok := c.Access[i].Scope(s); ok {
				t.Scopes = append(t.Scopes, scope)
			}
		}
		if len(t.Scopes) == len(scopes) {
			found = append(found, t)
		}
	}
	if len(found) != 1 {
		return nil, oauth.Errorf(oauth.InvalidTarget, "the scopes do not belong to exactly one resource: name it with the resource parameter")
	}
	return found, nil
}

func (t *Target) has(scope string) bool {
	return slices.ContainsFunc(t.Scopes, func(s *Scope) bool { return s.Name == scope })
}

// PermittedTo is what is left for the user: scopes that want a group the user is not in are dropped. When nothing is left
// of those asked for at a resource, the answer is access_denied.
func (a *Ask) PermittedTo(u *User) (*Ask, *oauth.Error) {
	permitted := &Ask{Identity: a.Identity, UserinfoClaims: a.UserinfoClaims, IDTokenClaims: a.IDTokenClaims}
	for _, t := range a.Targets {
		left := Target{Resource: t.Resource}
		for _, s := range t.Scopes {
			if s.PermittedTo(u) {
				left.Scopes = append(left.Scopes, s)
			}
		}
		if len(left.Scopes) == 0 && len(t.Scopes) > 0 {
			return nil, oauth.Errorf(oauth.AccessDenied, "the user may not grant any of the scopes asked for at a resource")
		}
		permitted.Targets = append(permitted.Targets, left)
	}
	return permitted, nil
}

// Scopes are the names of all scopes, identity scopes first, each once.
func (a *Ask) Scopes() []string {
	names := slices.Clone(a.Identity)
	for _, t := range a.Targets {
		for _, s := range t.Scopes {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// Resources are the identifiers of the resources.
func (a *Ask) Resources() []string {
	var identifiers []string
	for _, t := range a.Targets {
		identifiers = append(identifiers, t.Resource.Identifier)
	}
	return identifiers
}

// Offline says whether a refresh token is asked for (OpenID Connect Core section 11). Without openid, no scope has to say so.
func (a *Ask) Offline() bool {
	return slices.Contains(a.Identity, oauth.ScopeOfflineAccess) || !a.OpenID()
}

// OpenID says whether an ID token is asked for (OpenID Connect Core section 3.1.2.1).
func (a *Ask) OpenID() bool { return slices.Contains(a.Identity, oauth.ScopeOpenID) }

// Digest is short, and differs between any two values that a user would not be shown as the same thing: the same scopes in
// the same words, at the same resource objects, for the same client object.
func (a *Ask) Digest(c *Client) string {
	h := sha256.New()
	line := func(fields ...string) { _ = json.NewEncoder(h).Encode(fields) } // neither strings nor a hash can fail
	line("client", c.UID, c.DisplayName)
	for _, s := range slices.Sorted(slices.Values(a.Identity)) {
		line("identity", s)
	}
	for _, claim := range slices.Sorted(slices.Values(a.UserinfoClaims)) {
		line("userinfo claim", claim)
	}
	for _, claim := range slices.Sorted(slices.Values(a.IDTokenClaims)) {
		line("ID token claim", claim)
	}
	for _, t := range a.Targets {
		line("resource", t.Resource.UID, t.Resource.Identifier, t.Resource.DisplayName)
		for _, s := range t.Scopes {
			line("scope", s.Name, s.Description)
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
