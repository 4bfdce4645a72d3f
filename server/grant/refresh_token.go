package grant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	// grace is for how long after a rotation the token that it replaced gets its successor again: the response may have been
	// lost, or several threads of a client have refreshed at once.
	grace = 30 * time.Second
	// renewals is how often a refresh token that is not replaced writes down, within its idle lifetime, that it is in use.
	renewals = 4
	// conflicts is how often a refresh begins again when somebody else was quicker. Once would do: whoever comes second finds the
	// successor made, and itself in the grace window.
	conflicts = 4
)

// refreshToken gives new tokens for a refresh token (RFC 6749 section 6), and a new refresh token in place of it (RFC 9700 section
// 4.14.2). The grant is written once, or not at all in the grace window.
func (h *Handler) refreshToken(ctx context.Context, req *request) (*response, error) {
	// 1. The token is one of ours: until that is known, nothing is said or done about the grant that it names.
	g, generation, err := h.openRefreshToken(ctx, req)
	if err != nil {
		return nil, err
	}
	req.audit = append(req.audit, slog.String("grant", g.ID), slog.String("user", g.User))
	// 2. It is this client's.
	if g.AuthorizationServer != req.iss.Name || g.ClientID != req.client.ID || g.ClientUID != req.client.UID {
		return nil, errRefreshToken("another client's")
	}
	for range conflicts {
		// 3. It is the one in force, or was until a moment ago; else somebody has a copy of it.
		if err := h.judge(ctx, req, g, generation); err != nil {
			return nil, err
		}
		// 4. All that redemption checked still holds; what is issued is what was granted, or less.
		b, err := h.refreshed(req, g)
		if err != nil {
			return nil, err
		}
		i := newIssue(req, b)
		if err := i.check(); err != nil {
			return nil, err
		}
		// 5. The one write; somebody else may have been quicker.
		next, err := h.advance(ctx, i, g, generation)
		switch {
		case errors.Is(err, store.ErrConflict) && next.Generation < generation:
			return nil, errRefreshToken("of a generation that its grant has not reached") // the store was restored from a backup
		case errors.Is(err, store.ErrConflict):
			g = next
			continue
		case errors.Is(err, store.ErrNotFound):
			return nil, errRefreshToken("its grant is gone")
		case err != nil:
			h.owed.note(g.ID, generation, h.Now())
			return nil, oauth.Errorf(oauth.TemporarilyUnavailable, "the grant could not be written; try again").Wrap(err)
		}
		// 6. The tokens. None outlives its grant.
		i.generation = next.Generation
		i.access.ExpiresAt = earliest(i.access.ExpiresAt, next.ExpiresAt)
		return i.mint()
	}
	h.owed.note(g.ID, generation, h.Now())
	return nil, oauth.Errorf(oauth.TemporarilyUnavailable, "the grant is being refreshed by others; try again")
}

// errRefreshToken is told for all that is wrong with a refresh token: what exactly is nobody's business.
func errRefreshToken(format string, args ...any) *oauth.Error {
	return oauth.Errorf(oauth.InvalidGrant, "the refresh token is not valid: it is spent, expired, revoked, or not of this client").
		Wrap(fmt.Errorf(format, args...))
}

// openRefreshToken finds the grant of a refresh token whose secret is right.
func (h *Handler) openRefreshToken(ctx context.Context, req *request) (*store.Grant, int64, error) {
	raw := req.form.Get("refresh_token")
	if raw == "" {
		return nil, 0, oauth.Errorf(oauth.InvalidRequest, "refresh_token is missing")
	}
	id, generation, ok := token.ParseRefresh(req.iss, raw)
	if !ok {
		return nil, 0, errRefreshToken("not a refresh token of the issuer")
	}
	g, err := h.Grants.Get(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, 0, errRefreshToken("its grant is gone")
	case err != nil:
		return nil, 0, oauth.Errorf(oauth.TemporarilyUnavailable, "the grant could not be read; try again").Wrap(err)
	}
	return g, generation, nil
}

// judge says whether a token of the generation may be used. A grant that this replica knows as one of an older generation is not
// up to date: that is left to the write, which reads live.
func (h *Handler) judge(ctx context.Context, req *request, g *store.Grant, generation int64) error {
	idle := req.iss.Lifetimes.RefreshTokenIdle
	switch {
	case !g.RevokedAt.IsZero():
		return errRefreshToken("its grant was revoked: %s", g.RevokedReason)
	case generation < g.Generation && !h.inGrace(g, generation, req.now):
		return h.reused(ctx, req, g)
	case !req.now.Before(g.RefreshUntil):
		return errRefreshToken("its grant can't be refreshed any more")
	case generation <= g.Generation && (!g.Alive(req.now) || !g.Refreshable(req.now, idle)):
		return errRefreshToken("it was left alone for more than %s", idle)
	}
	return nil
}

// inGrace says whether the generation is the one before, and was until a moment ago the one in force, or its client has been told to try
// again.
func (h *Handler) inGrace(g *store.Grant, generation int64, now time.Time) bool {
	return generation == g.Generation-1 && (now.Before(g.RotatedAt.Add(grace)) || h.owed.has(g.ID, generation, now))
}

// reused revokes a grant one of whose spent refresh tokens is presented again, by the client or a thief: which of them has the one
// in force is not known (RFC 9700 section 4.14.2).
func (h *Handler) reused(ctx context.Context, req *request, g *store.Grant) error {
	if err := h.revoke(ctx, req, g.ID, store.ReasonRefreshTokenReused); err != nil {
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the refresh token was spent before, and its grant could not be revoked").Wrap(err)
	}
	return errRefreshToken("reused")
}

// refreshed finds what is still granted, and what of it the request asks for.
func (h *Handler) refreshed(req *request, g *store.Grant) (*basis, error) {
	user, ok := req.iss.User(g.User, g.UserUID)
	if !ok {
		return nil, errRefreshToken("its user is gone")
	}
	switch over, err := h.over(req, user, "", g.IssuedAt, g.IssuedAt); {
	case err != nil:
		return nil, err
	case over:
		return nil, errRefreshToken("its user has signed out everywhere, or it was cut off, since its grant was made")
	}
	approved := &approval{g.Scopes, g.Targets, g.UserinfoClaims, g.IDTokenClaims}
	granted, err := approved.stillAllowed(req.client, user)
	if err != nil {
		return nil, err
	}
	if !granted.Offline() {
		return nil, oauth.Errorf(oauth.InvalidGrant, "the client may not ask for offline_access any more")
	}
	target, err := approved.chooseTarget(req.form["resource"], granted)
	if err != nil {
		return nil, err
	}
	b := &basis{
		grantID: g.ID, user: user, authTime: g.AuthTime, sessionID: g.SessionID, granted: granted, identity: granted.Identity, target: target,
	}
	if scope := req.form.Get("scope"); scope != "" {
		if !oauth.WellFormedScope(scope) || len(oauth.SplitScope(scope)) == 0 {
			return nil, oauth.Errorf(oauth.InvalidScope, "scope is not well-formed")
		}
		return b, b.narrow(oauth.SplitScope(scope), len(req.form["resource"]) > 0)
	}
	return b, nil
}

// narrow leaves of what the tokens have the scopes that are asked for, none of which may be new (RFC 6749 section 6). Where nothing is
// asked for at a resource, and it is not named, the token is not for it.
func (b *basis) narrow(scopes []string, named bool) error {
	var identity []string
	var at []*registry.Scope
	for _, name := range scopes {
		scope := b.scope(name)
		switch {
		case slices.Contains(b.identity, name):
			identity = append(identity, name)
		case scope != nil:
			at = append(at, scope)
		default:
			return oauth.Errorf(oauth.InvalidScope, "a scope was not granted, or not at the resource that the token is for")
		}
	}
	b.identity = identity
	switch {
	case b.target == nil:
	case len(at) == 0 && len(b.target.Scopes) > 0 && !named:
		b.target = nil
	default:
		b.target = &registry.Target{Resource: b.target.Resource, Scopes: at}
	}
	return nil
}

// scope is the scope of that name at the resource that the token is for, nil when there is none.
func (b *basis) scope(name string) *registry.Scope {
	if b.target == nil {
		return nil
	}
	i := slices.IndexFunc(b.target.Scopes, func(s *registry.Scope) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return b.target.Scopes[i]
}

// advance makes the next generation, with one compare-and-swap, and returns the grant as it is then. It writes nothing where the next
// generation is there already, and where refresh tokens are not replaced: then it says only from time to time that this one is
// in use.
func (h *Handler) advance(ctx context.Context, i *issue, g *store.Grant, generation int64) (*store.Grant, error) {
	if generation < g.Generation { // in grace
		return g, nil
	}
	expiresAt := latest(g.ExpiresAt, i.expiry(), i.refreshableUntil(g.RefreshUntil))
	if i.req.client.RotateRefreshTokens || i.req.client.Public {
		return h.Grants.Rotate(ctx, g.ID, generation, i.issuedAt, expiresAt)
	}
	renewAt := g.RotatedAt.Add(i.req.iss.Lifetimes.RefreshTokenIdle / renewals)
	if generation == g.Generation && i.req.now.Before(renewAt) && !i.expiry().After(g.ExpiresAt) {
		return g, nil
	}
	return h.Grants.Renew(ctx, g.ID, generation, i.issuedAt, expiresAt)
}
