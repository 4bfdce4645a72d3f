package valkey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	driver "github.com/valkey-io/valkey-go"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/server/store"
)

// page is how many grants are asked for at a time.
const page = 500

// An index is a sorted set of ids; the score says until when, in Unix seconds of this server's clock. indexing is what a script begins
// with that puts a member, the first of its arguments, into the indexes, which are all of its keys but the first: it forgets what is
// over, and keeps each index for as long as anything in it.
const indexing = `for i = 2, #KEYS do
redis.call('ZADD', KEYS[i], 'GT', ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. ARGV[3])
if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
end
`

// naming is what makes indexes name something.
type naming struct {
	// indexes are the keys; args are those that a script's own follow.
	indexes, args []string
}

// naming makes indexes name a member until then.
func (s *Store) naming(indexes []string, member string, until time.Time) naming {
	return naming{indexes, []string{member, fmt.Sprint(until.Unix()), fmt.Sprint(s.config.Now().Unix()), fmt.Sprint(s.lifetime(until))}}
}

// noIndexes is for a value that its indexes name already.
func noIndexes() naming { return naming{args: []string{"", "", "", ""}} }

// apart is the naming by commands of their own, as a Cluster wants it, where each key may be at another node. The first key of a
// script is that of no index.
func (n naming) apart() []command {
	var commands []command
	for _, index := range n.indexes {
		commands = append(commands, func(b driver.Builder) driver.Completed {
			return b.Eval().Script(indexing+"return ''").Numkeys(2).Key(index, index).Arg(n.args...).Build()
		})
	}
	return commands
}

func (s *Store) userIndex(as, uid string) string    { return s.key(userKind, as+"/"+uid) }
func (s *Store) sessionIndex(as, sid string) string { return s.key(sessionKind, as+"/"+sid) }
func (s *Store) clientIndex(uid string) string      { return s.key(clientKind, uid) }

// member is what the indexes hold of a grant: the client is there to be told apart without reading the grant.
func member(g *store.Grant) string { return g.ID + "/" + g.ClientUID }

func parseMember(m string) (id, clientUID string) {
	id, clientUID, _ = strings.Cut(m, "/")
	return id, clientUID
}

// indexes are the keys that name the grant.
func (s *Store) indexes(g *store.Grant) []string {
	keys := []string{s.clientIndex(g.ClientUID)}
	if g.UserUID != "" {
		keys = append(keys, s.userIndex(g.AuthorizationServer, g.UserUID))
	}
	if g.SessionID != "" {
		keys = append(keys, s.sessionIndex(g.AuthorizationServer, g.SessionID))
	}
	return keys
}

// indexedUntil is how long the indexes are to name the grant: for a quarter longer than it is good for now, so that it is refreshed many
// times before they must be written again.
func (s *Store) indexedUntil(g *store.Grant) time.Time {
	now := s.config.Now()
	left := max(g.ExpiresAt.Sub(now), remembered)
	return now.Add(left + left/4).Truncate(time.Second)
}

// named is the naming that is left to be done by the script which writes what is named: all of it, but in a Cluster, where it is done here.
func (s *Store) named(ctx context.Context, n naming) (naming, error) {
	l, err := s.linked(ctx)
	if err != nil || l.writer.Mode() != driver.ClientModeCluster || len(n.indexes) == 0 {
		return n, err
	}
	return noIndexes(), s.batch(ctx, n.apart())
}

// namedWithin makes the indexes name a grant, or leaves that to the script which creates it, with the limit on what the user's index names. In a
// Cluster, where no script sees both, the limit is applied here.
func (s *Store) namedWithin(ctx context.Context, g *store.Grant, until time.Time, limit int) (naming, int, error) {
	n := s.naming(s.indexes(g), member(g), until)
	l, err := s.linked(ctx)
	if err != nil || l.writer.Mode() != driver.ClientModeCluster {
		return n, limit, err
	}
	if limit != store.NoLimit {
		if named, err := s.count(ctx, s.userIndex(g.AuthorizationServer, g.UserUID)); err == nil && named >= limit {
			return n, limit, store.ErrTooMany
		}
	}
	n, err = s.named(ctx, n)
	return n, store.NoLimit, err
}

// count returns how many an index names.
func (s *Store) count(ctx context.Context, key string) (int, error) {
	r, err := s.reader(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	n, err := r.Do(ctx, r.B().Zcard().Key(key).Build()).AsInt64()
	if err != nil {
		return 0, fmt.Errorf("store/valkey: count what an index names: %w", err)
	}
	return int(n), nil
}

func (s *Store) unindex(ctx context.Context, g *store.Grant) error {
	var commands []command
	for _, key := range s.indexes(g) {
		commands = append(commands, func(b driver.Builder) driver.Completed { return b.Zrem().Key(key).Member(member(g)).Build() })
	}
	return s.batch(ctx, commands)
}

// batch sends commands that write indexes. Where one server has them all, they go in one round trip, and the replica that confirms
// the grant written next has them too. In a Cluster each is confirmed for itself.
func (s *Store) batch(ctx context.Context, commands []command) error {
	l, err := s.linked(ctx)
	if err != nil {
		return err
	}
	s.config.OnWrite(VerbIndex)
	if l.writer.Mode() == driver.ClientModeCluster {
		return s.batchCluster(ctx, commands)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	all := make([]driver.Completed, 0, len(commands))
	for _, c := range commands {
		all = append(all, c(l.writer.B()))
	}
	for _, r := range l.writer.DoMulti(ctx, all...) {
		if err := r.Error(); err != nil && !driver.IsValkeyNil(err) {
			return fmt.Errorf("store/valkey: write an index: %w", err)
		}
	}
	return nil
}

func (s *Store) batchCluster(ctx context.Context, commands []command) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range commands {
		group.Go(func() error {
			_, err := s.apply(ctx, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("store/valkey: write an index: %w", err)
	}
	return nil
}

// Find implements store.Grants.
func (s *Store) Find(ctx context.Context, q store.Query) ([]*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	key := s.sessionIndex(q.AuthorizationServer, q.SessionID)
	if q.SessionID == "" {
		key = s.userIndex(q.AuthorizationServer, q.UserUID)
	}
	members, err := s.members(ctx, key)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, m := range members {
		if id, client := parseMember(m); q.ClientUID == "" || q.ClientUID == client {
			ids = append(ids, id)
		}
	}
	var found []*store.Grant
	for len(ids) > 0 {
		n := min(page, len(ids))
		entries, err := s.readAll(ctx, ids[:n])
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.grant.RevokedAt.IsZero() && q.Matches(e.grant) {
				found = append(found, e.grant)
			}
		}
		ids = ids[n:]
	}
	return found, nil
}

// members are all that an index names and that may still be there.
func (s *Store) members(ctx context.Context, key string) ([]string, error) {
	r, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	now := fmt.Sprint(s.config.Now().Unix())
	members, err := r.Do(ctx, r.B().Zrangebyscore().Key(key).Min(now).Max("+inf").Build()).AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("store/valkey: read an index: %w", err)
	}
	return members, nil
}

// readAll returns the grants that are there, from memory or in one round trip to each node.
func (s *Store) readAll(ctx context.Context, ids []string) ([]*entry, error) {
	r, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	var (
		found   []*entry
		unknown []string
		places  []*place
		gets    []driver.Completed
	)
	for _, id := range ids {
		if e := s.cache.get(id); e != nil {
			found = append(found, e)
			continue
		}
		unknown, places = append(unknown, id), append(places, s.cache.begin(id))
		gets = append(gets, r.B().Get().Key(s.grantKey(id)).Build())
	}
	if len(gets) == 0 {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for i, result := range r.DoMulti(ctx, gets...) {
		value, err := result.ToString()
		e, err := entryOf(unknown[i], value, err)
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		}
		s.cache.fill(places[i], e)
		found = append(found, e)
	}
	return found, nil
}
