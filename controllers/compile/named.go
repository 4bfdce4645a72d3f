package compile

import (
	"slices"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/oauth"
)

// NamedClient is a client that a ResourceServer names, in its own namespace.
type NamedClient struct {
	// Name is the OAuthClient's, Field where it is named.
	Name, Field string
	// GrantType is the one that it needs there; empty for none.
	GrantType v1alpha1.GrantType
}

// NamedClients are the clients that a ResourceServer names for what they may do with tokens for it.
func NamedClients(rs *v1alpha1.ResourceServer) []NamedClient {
	var named []NamedClient
	if i := rs.Spec.Introspection; i != nil {
		for _, name := range i.Clients {
			named = append(named, NamedClient{name, "spec.introspection.clients", ""})
		}
	}
	if x := rs.Spec.TokenExchange; x != nil {
		for _, name := range x.Clients {
			named = append(named, NamedClient{name, "spec.tokenExchange.clients", oauth.GrantTokenExchange})
		}
	}
	return named
}

// Clients finds OAuthClients; nil for one that does not exist.
type Clients interface {
	OAuthClient(namespace, name string) *v1alpha1.OAuthClient
}

// UnresolvedClients tells of the clients that a ResourceServer names in vain. They keep nothing else of it from being honoured, and so
// are no problems of ResourceServer.
func UnresolvedClients(found Clients, rs *v1alpha1.ResourceServer) []Problem {
	var problems []Problem
	for _, named := range NamedClients(rs) {
		c := found.OAuthClient(rs.Namespace, named.Name)
		if c == nil {
			problems = append(problems, unresolved(v1alpha1.ReasonRefNotFound, false,
				"%s names OAuthClient %s, which does not exist in this namespace; create it, or correct the name", named.Field, named.Name))
			continue
		}
		if why := unusable(c, rs, named.GrantType); why != "" {
			problems = append(problems, unresolved(v1alpha1.ReasonRefNotUsable, true, "%s names OAuthClient %s, which %s", named.Field, named.Name, why))
		}
	}
	return problems
}

// unusable says why a client can't be what the ResourceServer names it for; empty when it can.
func unusable(c *v1alpha1.OAuthClient, rs *v1alpha1.ResourceServer, needed v1alpha1.GrantType) string {
	server := EffectiveAuthorizationServer(c.Spec.AuthorizationServerName)
	switch {
	case c.Spec.Type == v1alpha1.ClientPublic:
		return "is Public: anybody could say to be it; name a Confidential one"
	case !slices.Contains(EffectiveAuthorizationServers(rs.Spec.AuthorizationServerNames), server):
		return "is a client of AuthorizationServer " + server + ", whose tokens this API does not accept; add that to spec.authorizationServerNames, or name another client"
	case needed != "" && !slices.Contains(c.Spec.GrantTypes, needed):
		return "does not have " + string(needed) + " among its grantTypes; add it there"
	}
	return ""
}
