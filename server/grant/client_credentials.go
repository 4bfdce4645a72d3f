package grant

import (
	"context"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// clientCredentials gives a client an access token in its own right (RFC 6749 section 4.4): without a user, and so without a grant, a
// refresh token or an ID token. Nothing is written.
func (h *Handler) clientCredentials(_ context.Context, req *request) (*response, error) {
	if req.client.Public {
		return nil, oauth.Errorf(oauth.UnauthorizedClient, "a public client has no right of its own")
	}
	scope := req.form.Get("scope")
	if !oauth.WellFormedScope(scope) {
		return nil, oauth.Errorf(oauth.InvalidScope, "scope is not well-formed")
	}
	ask, err := registry.ResolveForClient(req.client, oauth.SplitScope(scope), req.form["resource"])
	if err != nil {
		return nil, err
	}
	i := newIssue(req, &basis{granted: ask, target: &ask.Targets[0]})
	if err := i.check(); err != nil {
		return nil, err
	}
	return i.mint()
}
