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

// purgers is how many grants are purged at a time.
const purgers = 16

// Purge deletes all grants of a client, in pages. It may be called again where it failed.
func (s *Store) Purge(ctx context.Context, clientUID string) error {
	key := s.clientIndex(clientUID)
	for {
		r, err := s.reader(ctx)
		if err != nil {
			return err
		}
		members, err := r.Do(ctx, r.B().Zrange().Key(key).Min("0").Max(fmt.Sprint(page-1)).Build()).AsStrSlice()
		if err != nil {
			return fmt.Errorf("store/valkey: read an index: %w", err)
		}
		if len(members) == 0 {
			return nil
		}
		if err := s.purge(ctx, key, members); err != nil {
			return err
		}
	}
}

// purge deletes some grants, and the names of those that are not there any more.
func (s *Store) purge(ctx context.Context, key string, members []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(purgers)
	for _, m := range members {
		group.Go(func() error {
			id, _ := parseMember(m)
			if err := s.Delete(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return s.batch(ctx, []command{func(b driver.Builder) driver.Completed { return b.Zrem().Key(key).Member(m).Build() }})
		})
	}
	return group.Wait()
}

// Each calls f for every grant, also revoked ones, in no particular order, until f returns an error. It looks at every key there
// is: for a person who asks, not for a request. A grant that is made or rotated meanwhile may be missed.
func (s *Store) Each(ctx context.Context, f func(*store.Grant) error) error {
	r, err := s.reader(ctx)
	if err != nil {
		return err
	}
	seen := map[string]struct{}{}
	for _, node := range r.Nodes() {
		is, err := roleOf(node.Do(ctx, node.B().Role().Build()))
		if err != nil {
			return fmt.Errorf("store/valkey: list the grants: %w", err)
		}
		if !is.primary {
			continue
		}
		if err := s.scan(ctx, node, seen, f); err != nil {
			return err
		}
	}
	return nil
}

// scan calls f for the grants of a node.
func (s *Store) scan(ctx context.Context, node driver.Client, seen map[string]struct{}, f func(*store.Grant) error) error {
	prefix := s.config.Prefix + grantKind
	for cursor := uint64(0); ; {
		found, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(prefix+"*").Count(page).Build()).AsScanEntry()
		if err != nil {
			return fmt.Errorf("store/valkey: list the grants: %w", err)
		}
		var ids []string
		for _, key := range found.Elements {
			id := strings.Trim(strings.TrimPrefix(key, prefix), "{}")
			if _, ok := seen[id]; !ok && validID(id) {
				seen[id] = struct{}{}
				ids = append(ids, id)
			}
		}
		entries, err := s.readAll(ctx, ids)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := f(e.grant); err != nil {
				return err
			}
		}
		if cursor = found.Cursor; cursor == 0 {
			return nil
		}
	}
}

// Check connects, and says what is wrong with the server, if anything: it can't be reached, the user may not do what is needed,
// or it would forget what must be remembered.
func (s *Store) Check(ctx context.Context) error {
	if err := s.beat(ctx); err != nil {
		return err
	}
	r, err := s.reader(ctx)
	if err != nil {
		return err
	}
	if err := eachNode(ctx, r, func(ctx context.Context, node driver.Client) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		info, err := node.Do(ctx, node.B().Info().Section("memory").Build()).ToString()
		if err != nil {
			return err
		}
		return checkMemory(info)
	}); err != nil {
		return fmt.Errorf("store/valkey: %w", err)
	}
	key := s.key("check:", fmt.Sprint(s.config.Now().UnixNano()))
	if _, err := s.apply(ctx, create(key, "1", time.Minute.Milliseconds(), noIndexes(), store.NoLimit)); err != nil {
		return fmt.Errorf("store/valkey: try a write: %w", err)
	}
	return nil
}

// errForgets: to be evicted is to be forgotten, and what is forgotten can be redeemed again.
var errForgets = errors.New("it evicts keys when its memory is full, and would forget which codes were redeemed: set maxmemory-policy to noeviction")

// checkMemory looks at what INFO says of a node's memory.
func checkMemory(info string) error {
	values := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	if values["maxmemory"] != "0" && values["maxmemory_policy"] != "noeviction" {
		return errForgets
	}
	return nil
}
