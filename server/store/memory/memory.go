// Package memory keeps grants in the memory of one process: for tests, and for a single server that may forget every
// grant, and with them every token, when it restarts.
package memory

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/lookup"
)

const (
	// remember is how long an id stays taken at least, whatever became of its grant: longer than any authorization code
	// lives, clock skew included, so that a code is never redeemed twice.
	remember = 5 * time.Minute
	// maxGrants bounds the memory, to about half a gigabyte.
	maxGrants = 1_000_000
)

// ErrFull is returned by Create when the store holds as many grants as it may.
var ErrFull = errors.New("memory: too many grants")

// Store implements store.Grants. Grants that have expired are swept as new ones are created.
type Store struct {
	now   func() time.Time
	limit int

	mu      sync.Mutex
	entries map[string]*entry
	queue   queue
	lookup  lookup.Index
}

var _ store.Grants = (*Store)(nil)

// entry is an id that was used, and where its grant stands in the lookup. Its grant never changes once it is here; a nil grant is one that was deleted.
type entry struct {
	id    string
	grant *store.Grant
	// sweepAt is when the id may be forgotten, and place where the entry stands in the queue.
	sweepAt time.Time
	place   int
	node    lookup.Node
}

// New makes an empty Store that tells the time by now.
func New(now func() time.Time) *Store {
	return &Store{now: now, limit: maxGrants, entries: map[string]*entry{}}
}

// Create implements store.Grants. ErrFull when the memory is exhausted.
func (s *Store) Create(ctx context.Context, g *store.Grant, limit int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.sweep(now)
	if s.entries[g.ID] != nil {
		return store.ErrExists
	}
	if limit != store.NoLimit && s.lookup.Count(g.UserUID) >= limit {
		return store.ErrTooMany
	}
	if len(s.entries) >= s.limit {
		return ErrFull
	}
	e := &entry{id: g.ID, sweepAt: now.Add(remember)}
	s.set(e, clone(g))
	if g.ExpiresAt.After(e.sweepAt) {
		e.sweepAt = g.ExpiresAt
	}
	s.entries[g.ID] = e
	heap.Push(&s.queue, e)
	return nil
}

// Get implements store.Grants.
func (s *Store) Get(ctx context.Context, id string) (*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil || e.grant == nil {
		return nil, store.ErrNotFound
	}
	return e.grant, nil
}

// Known implements store.Grants.
func (s *Store) Known(ctx context.Context, id string) *store.Grant {
	g, err := s.Get(ctx, id)
	if err != nil {
		return nil
	}
	return g
}

// Revoke implements store.Grants.
func (s *Store) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil || e.grant == nil {
		return store.ErrNotFound
	}
	if e.grant.RevokedAt.IsZero() {
		revoked := *e.grant
		revoked.RevokedAt, revoked.RevokedReason = at, reason
		s.set(e, &revoked)
	}
	return nil
}

// set replaces the grant of an entry; nil takes it away.
func (s *Store) set(e *entry, g *store.Grant) {
	e.grant = g
	s.lookup.Replace(&e.node, g)
}

// Rotate implements store.Grants.
func (s *Store) Rotate(ctx context.Context, id string, from int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	return s.advance(ctx, id, from, from+1, rotatedAt, expiresAt)
}

// Renew implements store.Grants.
func (s *Store) Renew(ctx context.Context, id string, generation int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	return s.advance(ctx, id, generation, generation, rotatedAt, expiresAt)
}

func (s *Store) advance(ctx context.Context, id string, from, to int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	switch {
	case e == nil || e.grant == nil:
		return nil, store.ErrNotFound
	case !e.grant.InForce(from):
		return e.grant, store.ErrConflict
	}
	next := e.grant.Advanced(to, rotatedAt, expiresAt)
	if next == e.grant {
		return next, nil
	}
	s.set(e, next)
	if next.ExpiresAt.After(e.sweepAt) {
		e.sweepAt = next.ExpiresAt
		heap.Fix(&s.queue, e.place)
	}
	return next, nil
}

// Find implements store.Grants.
func (s *Store) Find(ctx context.Context, q store.Query) ([]*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.lookup.Find(q)
}

// Delete removes a grant; its id stays taken for as long as the grant would have been kept. ErrNotFound when there is none.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil || e.grant == nil {
		return store.ErrNotFound
	}
	s.set(e, nil)
	return nil
}

// sweep forgets what is due.
func (s *Store) sweep(now time.Time) {
	for len(s.queue) > 0 && !now.Before(s.queue[0].sweepAt) {
		e := heap.Pop(&s.queue).(*entry)
		s.set(e, nil)
		delete(s.entries, e.id)
	}
}

func clone(g *store.Grant) *store.Grant {
	c := *g
	c.Scopes, c.Targets = slices.Clone(g.Scopes), slices.Clone(g.Targets)
	for i := range c.Targets {
		c.Targets[i].Scopes = slices.Clone(c.Targets[i].Scopes)
	}
	c.UserinfoClaims, c.IDTokenClaims = slices.Clone(g.UserinfoClaims), slices.Clone(g.IDTokenClaims)
	return &c
}

// queue is a heap of entries, the one that is swept first on top.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].sweepAt.Before(q[j].sweepAt) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(*q)
	*q = append(*q, e)
}

func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
