package valkey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/retry"
)

// writeAttempts is how often a grant is created when the outcome is not known, and there is none.
const writeAttempts = 2

// Create implements store.Grants. The indexes name the grant before it is there.
func (s *Store) Create(ctx context.Context, g *store.Grant, limit int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !validID(g.ID) || g.Attempt == "" {
		return errors.New("store/valkey: a grant needs a well-formed id and an attempt")
	}
	if s.cache.knows(g.ID) {
		return store.ErrExists
	}
	until := s.indexedUntil(g)
	value, err := encode(g, until)
	if err != nil {
		return err
	}
	if g.UserUID == "" {
		limit = store.NoLimit // nobody's grants can't be counted
	}
	left, limit, err := s.namedWithin(ctx, g, until, limit)
	if err != nil {
		return err
	}
	for range writeAttempts {
		var settled bool
		if settled, err = s.tryCreate(ctx, g, value, left, limit); settled {
			return err
		}
	}
	return err
}

// tryCreate writes once. When the outcome is not known, a live read decides. Not settled means: to be tried again.
func (s *Store) tryCreate(ctx context.Context, g *store.Grant, value string, left naming, limit int) (settled bool, err error) {
	key := s.grantKey(g.ID)
	before, err := s.write(ctx, VerbCreate, create(key, value, s.lifetime(g.ExpiresAt), left, limit))
	s.cache.forget(g.ID)
	switch {
	case errors.Is(err, errNotReplicated):
		return true, errors.Join(err, s.withdraw(ctx, key, value))
	case errors.Is(err, errNoAnswer) && ctx.Err() == nil:
		return s.decideCreate(ctx, g, value, err)
	case err != nil:
		return true, fmt.Errorf("store/valkey: create a grant: %w", err)
	case before == "":
		return true, nil
	case before == tooMany:
		return true, store.ErrTooMany
	}
	return true, s.takenBy(ctx, g, value, before)
}

// decideCreate finds out what has become of a write that was not answered.
func (s *Store) decideCreate(ctx context.Context, g *store.Grant, value string, lost error) (settled bool, err error) {
	e, err := s.read(ctx, g.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, lost
	case err != nil:
		return true, fmt.Errorf("store/valkey: create a grant: the outcome is not known: %w", errors.Join(lost, err))
	}
	return true, s.takenBy(ctx, g, value, e.raw)
}

// takenBy says whose the grant is that has the id: that of this very attempt is a success, once a replica has it too.
func (s *Store) takenBy(ctx context.Context, g *store.Grant, value, there string) error {
	if there != value {
		return store.ErrExists
	}
	answer, err := s.write(ctx, VerbUpdate, swap(s.grantKey(g.ID), value, value, s.lifetime(g.ExpiresAt), noIndexes()))
	switch {
	case err != nil:
		return errors.Join(fmt.Errorf("store/valkey: create a grant: %w", err), s.withdraw(ctx, s.grantKey(g.ID), value))
	case answer != swapped:
		return store.ErrExists // somebody has taken it for replayed, or deleted it
	}
	return nil
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
	return s.change(ctx, id, func(g *store.Grant, live bool) (*store.Grant, error) {
		switch {
		case g.InForce(from):
			return g.Advanced(to, rotatedAt, expiresAt), nil
		case live:
			return g, store.ErrConflict
		}
		return nil, errReadLive
	})
}

// Revoke implements store.Grants. A grant that is revoked already is written again, as it is: a replica may not have it yet.
func (s *Store) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	_, err := s.change(ctx, id, func(g *store.Grant, _ bool) (*store.Grant, error) {
		revoked := *g
		if g.RevokedAt.IsZero() {
			revoked.RevokedAt, revoked.RevokedReason = at, reason
		}
		return &revoked, nil
	})
	return err
}

// errReadLive is answered by an edit that can't go by what is in memory.
var errReadLive = errors.New("store/valkey: to be read live")

// edit says what a grant is to become: itself for no change, or an error that ends it.
type edit func(g *store.Grant, live bool) (*store.Grant, error)

// change lets the edit see the grant as memory has it, and as it is, until it was written as the edit wants it.
func (s *Store) change(ctx context.Context, id string, edit edit) (*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !validID(id) {
		return nil, store.ErrNotFound
	}
	e, live := s.cache.get(id), false
	var failure error
	for tried := (retry.Bound{}); tried.Left(); tried.Count(live && failure == nil) {
		if e == nil {
			var err error
			if e, err = s.read(ctx, id); err != nil {
				return nil, err
			}
			live = true
		}
		next, err := edit(e.grant, live)
		switch {
		case errors.Is(err, errReadLive):
			e = nil
			continue
		case err != nil || next == e.grant:
			return next, err
		}
		var settled bool
		if e, settled, err = s.trySwap(ctx, e, next); settled {
			return next, err
		}
		live, failure = true, err
	}
	return nil, fmt.Errorf("store/valkey: change a grant: %w", errors.Join(failure, errContended))
}

// errContended: others have changed the grant again and again.
var errContended = errors.New("somebody else has changed it again and again")

// trySwap writes once. Not settled means: to be looked at again, as it is now, or nil when that has to be read.
func (s *Store) trySwap(ctx context.Context, e *entry, next *store.Grant) (now *entry, settled bool, err error) {
	id := e.grant.ID
	until, left := e.indexedUntil, noIndexes()
	if next.ExpiresAt.After(until) {
		until = s.indexedUntil(next)
		if left, err = s.named(ctx, s.naming(s.indexes(next), member(next), until)); err != nil {
			return nil, true, err
		}
	}
	value, err := encode(next, until)
	if err != nil {
		return nil, true, err
	}
	answer, err := s.write(ctx, VerbUpdate, swap(s.grantKey(id), e.raw, value, s.grantLifetime(next), left))
	s.cache.forget(id)
	switch {
	case errors.Is(err, errNoAnswer) && ctx.Err() == nil:
		return nil, false, err
	case err != nil:
		return nil, true, fmt.Errorf("store/valkey: change a grant: %w", err)
	case answer == swapped:
		return nil, true, nil
	case answer == absent:
		return nil, true, store.ErrNotFound
	}
	if now, err = entryOf(id, answer, nil); err != nil {
		return nil, true, err
	}
	return now, false, nil
}

// Delete removes a grant, as an administrator does. Its id stays taken for longer than a code lives. ErrNotFound when there is none.
func (s *Store) Delete(ctx context.Context, id string) error {
	if !validID(id) {
		return store.ErrNotFound
	}
	e, err := s.read(ctx, id)
	for tried := (retry.Bound{}); tried.Left(); tried.Count(true) {
		if err != nil {
			return err
		}
		var answer string
		answer, err = s.write(ctx, VerbDelete, swap(s.grantKey(id), e.raw, buried(), s.lifetime(time.Time{}), noIndexes()))
		s.cache.forget(id)
		switch {
		case err != nil:
			return fmt.Errorf("store/valkey: delete a grant: %w", err)
		case answer == swapped:
			return s.unindex(ctx, e.grant)
		case answer == absent:
			return store.ErrNotFound
		}
		e, err = entryOf(id, answer, nil)
	}
	return fmt.Errorf("store/valkey: delete a grant: %w", errContended)
}
