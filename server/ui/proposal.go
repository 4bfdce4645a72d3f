package ui

import (
	"slices"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// Proposed begins a consent page: what is asked for in the words of a person. fresh is what was not allowed before, known
// what was; nil for nothing.
func Proposed(fresh, known *registry.Ask) ConsentPage {
	page := ConsentPage{
		Identity: identity(fresh), Resources: resources(fresh), Offline: slices.Contains(fresh.Identity, oauth.ScopeOfflineAccess),
	}
	if known == nil {
		return page
	}
	for _, r := range resources(known) {
		page.Known = append(page.Known, r.Scopes...)
	}
	page.Known = append(page.Known, identity(known)...)
	if slices.Contains(known.Identity, oauth.ScopeOfflineAccess) {
		page.Known = append(page.Known, IdentityScope(oauth.ScopeOfflineAccess))
	}
	return page
}

// identity is what is asked for about the user. A claim that is asked for in two places is one thing to a person.
func identity(ask *registry.Ask) []ScopeLine {
	var lines []ScopeLine
	for _, name := range ask.Identity {
		if name != oauth.ScopeOfflineAccess {
			lines = append(lines, IdentityScope(name))
		}
	}
	for _, name := range slices.Concat(ask.UserinfoClaims, ask.IDTokenClaims) {
		if line := Claim(name); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

func resources(ask *registry.Ask) []ConsentResource {
	var all []ConsentResource
	for _, t := range ask.Targets {
		resource := ConsentResource{Name: t.Resource.DisplayName, Identifier: t.Resource.Identifier}
		for _, s := range t.Scopes {
			resource.Scopes = append(resource.Scopes, ScopeLine{Name: s.Name, Description: s.Description})
		}
		all = append(all, resource)
	}
	return all
}
