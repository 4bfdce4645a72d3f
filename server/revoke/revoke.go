// Package revoke is the revocation endpoint (RFC 7009): a client hands a token back that it needs no more, and with it goes the
// grant, with all that was issued under it.
//
// A client can revoke what was issued to itself. What is another's, unknown, or no good any more changes nothing, and is answered
// like a success, so that nobody can find out about tokens here. A good access token without a grant, as client_credentials
// gives, lives by itself and can't be revoked, and the grant behind a token that was got by exchange is another client's:
// unsupported_token_type.
package revoke

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// timeout bounds a revocation, which goes on when the caller hangs up.
const timeout = 10 * time.Second

// Config is what a Handler needs. All of it is required.
type Config struct {
	Grants  store.Grants
	Clients *clientauth.Authenticator
	Now     func() time.Time
	// Logger takes the audit events grant_revoked and revocation_refused.
	Logger *slog.Logger
	// Source tells the audit where a request comes from.
	Source func(*http.Request) netip.Addr
}

// Handler serves /revoke.
type Handler struct{ Config }

// New makes a Handler.
func New(c Config) *Handler { return &Handler{c} }

// Serve answers a revocation request. Its errors are for oauth.WriteError.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	if iss.Keys == nil {
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the issuer has no keys yet; try again")
	}
	caller, err := h.Clients.Authenticate(r, form, iss, h.Now())
	if err != nil {
		h.refused(r, iss, err)
		return err
	}
	raw := form.Get("token")
	if raw == "" {
		return oauth.Errorf(oauth.InvalidRequest, "token is missing")
	}
	id, err := h.grantOf(iss, caller.Client, raw)
	if err != nil {
		return err
	}
	if id != "" {
		if err := h.revoke(r, iss, caller.Client, id); err != nil {
			return err
		}
	}
	// The body says nothing (RFC 7009 section 2.2), but in JSON, which some clients insist on.
	return oauth.WriteJSON(w, http.StatusOK, struct{}{})
}

// refused tells the audit of somebody who has not proven to be a client: secrets are guessed at here as well as at /token.
func (h *Handler) refused(r *http.Request, iss *registry.Issuer, err error) {
	e := oauth.AsError(err)
	h.Logger.LogAttrs(r.Context(), slog.LevelInfo, "audit", slog.String("event", "revocation_refused"), slog.String("issuer", iss.URL),
		slog.String("source", h.Source(r).String()), slog.String("error", string(e.Code)), slog.String("reason", e.Error()))
}

// grantOf is the id of the grant that a token lives by; empty for what can't be of this client, or is no good. What it is shows by
// itself: token_type_hint need not be believed.
func (h *Handler) grantOf(iss *registry.Issuer, client *registry.Client, raw string) (string, error) {
	if id, _, ok := token.ParseRefresh(iss, raw); ok {
		return id, nil
	}
	access, err := token.Presented(iss, raw, h.Now())
	if err != nil || access.ClientID != client.ID || access.ClientUID != client.UID {
		return "", nil //nolint:nilerr // no good token: as if it were revoked already
	}
	if len(access.Via) > 0 {
		return "", oauth.Errorf(oauth.UnsupportedTokenType, "a token that was got by exchange can't be revoked by itself; it expires with the one it was got for")
	}
	if access.GrantID == "" {
		return "", oauth.Errorf(oauth.UnsupportedTokenType, "a token that was issued without a user can't be revoked; it expires soon")
	}
	return access.GrantID, nil
}

// revoke revokes a grant of the client's; any other is left alone.
func (h *Handler) revoke(r *http.Request, iss *registry.Issuer, client *registry.Client, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), timeout)
	defer cancel()
	g, err := h.Grants.Get(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return errUnknown(err)
	case g.AuthorizationServer != iss.Name || g.ClientID != client.ID || g.ClientUID != client.UID || !g.RevokedAt.IsZero():
		return nil
	}
	err = h.Grants.Revoke(ctx, id, store.ReasonRevokedByClient, h.Now())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return errUnknown(err)
	}
	h.Logger.LogAttrs(ctx, slog.LevelInfo, "audit", slog.String("event", "grant_revoked"), slog.String("issuer", iss.URL),
		slog.String("source", h.Source(r).String()), slog.String("client_id", client.ID), slog.String("user", g.User),
		slog.String("grant", id), slog.String("reason", store.ReasonRevokedByClient))
	return nil
}

// errUnknown tells the client that the token may still be good (RFC 7009 section 2.2.1).
func errUnknown(err error) *oauth.Error {
	return oauth.Errorf(oauth.TemporarilyUnavailable, "the token could not be revoked; try again").Wrap(err)
}
