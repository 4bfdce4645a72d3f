package interaction

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/store"
)

// maxRecent bounds how many grants a Recent names, to some 15 MiB; the one not used for longest gives way.
const maxRecent = 1 << 16

// Recent names, for a session and a client, a grant which held all that a request asked for. The next request looks at that one first, as it is by
// then, and searches among all grants of the user where it is not enough. It decides nothing, and only who has approved something can fill it. It is
// safe for concurrent use.
type Recent struct{ ids *lru.Cache[recentKey, string] }

type recentKey struct{ sessionID, clientUID string }

// NewRecent returns one that names none yet.
func NewRecent() *Recent {
	ids, err := lru.New[recentKey, string](maxRecent)
	if err != nil {
		panic(err) // the size is not positive: a constant is
	}
	return &Recent{ids}
}

// Remember is what the package's Remember would return if there were no other grant than the one that is named; nil where that is not alive any
// more, or would have to be asked for.
func (r *Recent) Remember(ctx context.Context, grants store.Grants, signOuts store.SignOuts, v *Visit) *Memory {
	m, err := remember(ctx, func(ctx context.Context, q store.Query) ([]*store.Grant, error) {
		id, ok := r.ids.Get(recentKey{v.Browser.Session.ID, v.Client.UID})
		if !ok {
			return nil, nil
		}
		g := grants.Known(ctx, id)
		if g == nil || !q.Matches(g) {
			return nil, nil
		}
		return []*store.Grant{g}, nil
	}, signOuts, v)
	if err != nil || len(m.held()) == 0 {
		return nil
	}
	return m
}

// Note names the first grant of the memory that holds all of what was asked by itself, until the session ends.
func (r *Recent) Note(m *Memory, c *registry.Client, ask *registry.Ask, s *session.Session) {
	for _, g := range m.held() {
		if (&Memory{[]*store.Grant{g}}).Lasts(c, ask, s.ID, s.ExpiresAt) {
			r.ids.Add(recentKey{s.ID, c.UID}, g.ID)
			return
		}
	}
}
