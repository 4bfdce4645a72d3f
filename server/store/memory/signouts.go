package memory

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// maxSignOuts bounds the memory for sign-outs.
const maxSignOuts = 1_000_000

// SignOuts implements store.SignOuts in the memory of one process. What has expired is swept as new ones are recorded.
type SignOuts struct {
	now   func() time.Time
	limit int

	mu      sync.RWMutex
	byKey   map[signOutKey]store.SignOut
	sweptAt time.Time
}

// signOutKey has the UID of a user, or the sid of a session.
type signOutKey struct{ authorizationServer, userUID, sessionID string }

var _ store.SignOuts = (*SignOuts)(nil)

// NewSignOuts makes an empty SignOuts that tells the time by now.
func NewSignOuts(now func() time.Time) *SignOuts {
	return &SignOuts{now: now, limit: maxSignOuts, byKey: map[signOutKey]store.SignOut{}}
}

// Record implements store.SignOuts. ErrFull when the memory is exhausted.
func (s *SignOuts) Record(ctx context.Context, o *store.SignOut) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	key := signOutKey{o.AuthorizationServer, "", o.SessionID}
	if o.Everywhere() {
		key.userUID = o.UserUID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.now())
	before, again := s.byKey[key]
	switch {
	case !again && len(s.byKey) >= s.limit:
		return ErrFull
	case again && !o.At.After(before.At):
		return nil
	}
	s.byKey[key] = *o
	return nil
}

// Over implements store.SignOuts.
func (s *SignOuts) Over(authorizationServer, sessionID string) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, over := s.byKey[signOutKey{authorizationServer, "", sessionID}]
	return over, nil
}

// SignedOutAt implements store.SignOuts.
func (s *SignOuts) SignedOutAt(authorizationServer, userUID string) (time.Time, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byKey[signOutKey{authorizationServer, userUID, ""}].At, nil
}

// sweep forgets what has expired.
func (s *SignOuts) sweep(now time.Time) {
	if now.Sub(s.sweptAt) < sweepEvery && len(s.byKey) < s.limit {
		return
	}
	s.sweptAt = now
	maps.DeleteFunc(s.byKey, func(_ signOutKey, o store.SignOut) bool { return !now.Before(o.ExpiresAt) })
}
