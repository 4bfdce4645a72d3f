package grant

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// revocationTimeout bounds the revocation of what somebody has a copy of, which goes on when the caller hangs up.
const revocationTimeout = 10 * time.Second

// revoke revokes a grant. One that was deleted is more than revoked.
func (h *Handler) revoke(ctx context.Context, req *request, id, reason string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revocationTimeout)
	defer cancel()
	switch err := h.Grants.Revoke(ctx, id, reason, req.now); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	h.Logger.LogAttrs(ctx, slog.LevelWarn, "audit", slog.String("event", "grant_revoked"), slog.String("issuer", req.iss.URL),
		slog.String("client_id", req.client.ID), slog.String("grant", id), slog.String("reason", reason))
	return nil
}
