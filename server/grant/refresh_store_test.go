package grant

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// strangeStore answers what a test says, where it says something.
type strangeStore struct {
	store.Grants
	get    func(id string) (*store.Grant, error)
	rotate func(id string, from int64) (*store.Grant, error)
	renew  func(id string) (*store.Grant, error)
	revoke func() error
}

func (s strangeStore) Get(ctx context.Context, id string) (*store.Grant, error) {
	if s.get == nil {
		return s.Grants.Get(ctx, id)
	}
	return s.get(id)
}

func (s strangeStore) Rotate(ctx context.Context, id string, from int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	if s.rotate == nil {
		return s.Grants.Rotate(ctx, id, from, rotatedAt, expiresAt)
	}
	return s.rotate(id, from)
}

func (s strangeStore) Renew(ctx context.Context, id string, generation int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	if s.renew == nil {
		return s.Grants.Renew(ctx, id, generation, rotatedAt, expiresAt)
	}
	return s.renew(id)
}

func (s strangeStore) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	if s.revoke == nil {
		return s.Grants.Revoke(ctx, id, reason, at)
	}
	return s.revoke()
}

// What the store can't tell is never taken for "no": the client may try again with the token it has.
func TestRefreshStoreFails(t *testing.T) {
	for name, test := range map[string]struct {
		strange func(f *fixture) strangeStore
		want    oauth.Code
	}{
		"at Get": {func(*fixture) strangeStore {
			return strangeStore{get: func(string) (*store.Grant, error) { return nil, errStore }}
		}, oauth.TemporarilyUnavailable},
		"at Rotate": {func(*fixture) strangeStore {
			return strangeStore{rotate: func(string, int64) (*store.Grant, error) { return nil, errStore }}
		}, oauth.TemporarilyUnavailable},
		"gone at Rotate": {func(*fixture) strangeStore {
			return strangeStore{rotate: func(string, int64) (*store.Grant, error) { return nil, store.ErrNotFound }}
		}, oauth.InvalidGrant},
		"revoked meanwhile": {func(f *fixture) strangeStore {
			return strangeStore{rotate: func(id string, _ int64) (*store.Grant, error) {
				g, err := f.grants.Get(t.Context(), id)
				revoked := *g
				revoked.RevokedAt = f.now
				if err == nil {
					err = store.ErrConflict
				}
				return &revoked, err
			}}
		}, oauth.InvalidGrant},
		"a conflict without end": {func(f *fixture) strangeStore {
			return strangeStore{rotate: func(id string, _ int64) (*store.Grant, error) {
				g, err := f.grants.Get(t.Context(), id)
				if err == nil {
					err = store.ErrConflict
				}
				return g, err
			}}
		}, oauth.TemporarilyUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			first, _ := f.approved(t, nil)
			s := test.strange(f)
			s.Grants = f.grants
			f.handler.Grants = s
			w := f.refresh(first.RefreshToken)
			wantRefused(t, w, test.want)
			if strings.Contains(w.Body.String(), "etcd") {
				t.Errorf("the answer tells of the store: %s", w.Body)
			}
			f.handler.Grants = f.grants
			wantIssued(t, f.refresh(first.RefreshToken))
		})
	}
}

func TestRefreshReuseThatCanNotBeRevoked(t *testing.T) {
	f := newFixture(t)
	first, _ := f.approved(t, nil)
	wantIssued(t, f.refresh(first.RefreshToken))
	f.now = f.now.Add(time.Hour)
	f.handler.Grants = strangeStore{Grants: f.grants, revoke: func() error { return errStore }}
	wantRefused(t, f.refresh(first.RefreshToken), oauth.TemporarilyUnavailable)
	f.handler.Grants = strangeStore{Grants: f.grants, revoke: func() error { return store.ErrNotFound }}
	wantRefused(t, f.refresh(first.RefreshToken), oauth.InvalidGrant)
}

// losesReplies writes, and does not know that it has. Reads are from a memory that learns nothing.
func (f *fixture) losesReplies(t *testing.T, id string) strangeStore {
	t.Helper()
	before := f.stored(t, id)
	return strangeStore{Grants: f.grants,
		get: func(string) (*store.Grant, error) { return before, nil },
		rotate: func(id string, from int64) (*store.Grant, error) {
			if _, err := f.grants.Rotate(t.Context(), id, from, f.now, before.ExpiresAt); err != nil && !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
			return nil, errStore
		},
	}
}

// A client that was told to try again, because nobody knew what became of the write, gets the successor when that is known, although the
// grace is over: it has nothing else. It is the last one who does.
func TestRefreshOfAnUnknownOutcomeIsAnsweredInTheEnd(t *testing.T) {
	f := newFixture(t)
	first, code := f.approved(t, nil)
	f.handler.Grants = f.losesReplies(t, code.ID)
	for range 3 {
		wantRefused(t, f.refresh(first.RefreshToken), oauth.TemporarilyUnavailable)
		f.now = f.now.Add(grace - time.Second)
	}
	f.handler.Grants = f.grants
	second := wantIssued(t, f.refresh(first.RefreshToken))
	if want := token.Refresh(f.iss, code.ID, 2); second.RefreshToken != want {
		t.Errorf("another successor: %s and %s", second.RefreshToken, want)
	}
	f.now = f.now.Add(grace)
	wantRefused(t, f.refresh(first.RefreshToken), oauth.InvalidGrant)
	if g := f.stored(t, code.ID); g.RevokedReason != store.ReasonRefreshTokenReused {
		t.Errorf("grant %+v", g)
	}
}

// Security: a token that was spent before, as far as is known, is reused however often its thief was told to try again, and so is one whose
// successor was used.
func TestRefreshReuseIsOwedNothing(t *testing.T) {
	for name, spend := range map[string]func(t *testing.T, f *fixture, first issued, id string){
		"spent, and the grace over": func(t *testing.T, f *fixture, first issued, _ string) {
			wantIssued(t, f.refresh(first.RefreshToken))
			f.now = f.now.Add(time.Hour)
			f.handler.Grants = strangeStore{Grants: f.grants, revoke: func() error { return errStore }}
			wantRefused(t, f.refresh(first.RefreshToken), oauth.TemporarilyUnavailable)
		},
		"its successor used": func(t *testing.T, f *fixture, first issued, id string) {
			f.handler.Grants = f.losesReplies(t, id)
			wantRefused(t, f.refresh(first.RefreshToken), oauth.TemporarilyUnavailable)
			f.handler.Grants = f.grants
			wantIssued(t, f.refresh(token.Refresh(f.iss, id, 2)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			first, code := f.approved(t, nil)
			spend(t, f, first, code.ID)
			f.handler.Grants = f.grants
			wantRefused(t, f.refresh(first.RefreshToken), oauth.InvalidGrant)
			if g := f.stored(t, code.ID); g.RevokedReason != store.ReasonRefreshTokenReused {
				t.Errorf("grant %+v", g)
			}
		})
	}
}

// A replica whose memory lags behind takes the newest token for what it is, and judges by what the write finds.
func TestRefreshAtAReplicaThatLags(t *testing.T) {
	f := newFixture(t)
	first, code := f.approved(t, nil)
	begin := f.now
	stale := f.stored(t, code.ID)
	lagging := strangeStore{Grants: f.grants, get: func(string) (*store.Grant, error) { return stale, nil }}

	f.now = begin.Add(time.Hour)
	second := wantIssued(t, f.refresh(first.RefreshToken)) // elsewhere
	f.now = begin.Add(7*24*time.Hour + time.Minute)        // what is in memory looks as if it had been left alone for too long
	f.handler.Grants = lagging
	third := wantIssued(t, f.refresh(second.RefreshToken))
	if g := f.stored(t, code.ID); g.Generation != 3 {
		t.Errorf("grant %+v", g)
	}
	// The token that was current when memory was filled: the write says that it is old.
	f.now = begin.Add(2 * time.Hour)
	wantRefused(t, f.refresh(first.RefreshToken), oauth.InvalidGrant)
	if g := f.stored(t, code.ID); g.RevokedReason != store.ReasonRefreshTokenReused {
		t.Errorf("grant %+v", g)
	}
	f.handler.Grants = f.grants
	wantRefused(t, f.refresh(third.RefreshToken), oauth.InvalidGrant)
}

// However little a replica knows of the grant, it knows when it ends.
func TestRefreshAtAReplicaThatLagsAndTooLate(t *testing.T) {
	f := newFixture(t)
	first, code := f.approved(t, nil)
	stale := f.stored(t, code.ID)
	second := wantIssued(t, f.refresh(first.RefreshToken))
	f.handler.Grants = strangeStore{Grants: f.grants, get: func(string) (*store.Grant, error) { return stale, nil }}
	f.now = stale.RefreshUntil
	wantRefused(t, f.refresh(second.RefreshToken), oauth.InvalidGrant)
	if g := f.stored(t, code.ID); g.Generation != 2 {
		t.Errorf("grant %+v", g)
	}
}

// A store that was restored from a backup has not reached the generation of a token that is good in itself.
func TestRefreshAfterARestore(t *testing.T) {
	f := newFixture(t)
	_, code := f.approved(t, nil)
	for _, rotate := range []bool{true, false} {
		f.withClient(t, registrytest.PrintShop, func(c *registry.Client) { c.RotateRefreshTokens = rotate })
		wantRefused(t, f.refresh(token.Refresh(f.iss, code.ID, 5)), oauth.InvalidGrant)
	}
	if g := f.stored(t, code.ID); g.Generation != 1 || !g.RevokedAt.IsZero() {
		t.Errorf("grant %+v", g)
	}
}
