package grant

import (
	"context"
	"errors"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/store"
)

// maxLiving bounds the grants of one user to one client that are alive at one time: who has a session could have more and more written
// until there is no room for anybody's, and a client that sends its users round in circles would. It is more than somebody has
// browsers and devices.
const maxLiving = 2000

// create stores the grant, if there is room for it. store.ErrExists is returned as it is.
func (h *Handler) create(ctx context.Context, i *issue, g *store.Grant) error {
	err := h.Grants.Create(ctx, g, maxLiving)
	if errors.Is(err, store.ErrTooMany) {
		if err := h.room(ctx, i); err != nil {
			return err
		}
		err = h.Grants.Create(ctx, g, store.NoLimit)
	}
	if err != nil && !errors.Is(err, store.ErrExists) {
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the grant could not be stored; start again").Wrap(err)
	}
	return err
}

// room says whether one more grant may be made for a user who has many: temporarily_unavailable when as many are alive at the client as may be.
// Replicas that are asked at the same moment may exceed that by a few. Where it can't be seen there is room: the store has the last word.
func (h *Handler) room(ctx context.Context, i *issue) error {
	found, err := h.Grants.Find(ctx, store.Query{AuthorizationServer: i.req.iss.Name, UserUID: i.user.UID, ClientUID: i.req.client.UID})
	if err != nil || len(found) < maxLiving {
		return nil //nolint:nilerr // not known is no reason to refuse
	}
	living := 0
	for _, g := range found {
		if g.Alive(i.req.now) {
			living++
		}
	}
	if living < maxLiving {
		return nil
	}
	if _, err := h.Grants.Get(ctx, i.grantID); !errors.Is(err, store.ErrNotFound) {
		return nil //nolint:nilerr // it is there already: this is a replay, for which Create has an answer
	}
	return oauth.Errorf(oauth.TemporarilyUnavailable, "the user has signed in to the client %d times already; revoke some of these grants, or let them expire", maxLiving)
}
