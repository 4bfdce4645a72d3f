package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// rotation is what the suite rotates to: made a minute after the grant, and good for an hour longer.
func rotation(g *store.Grant) (from int64, rotatedAt, expiresAt time.Time) {
	return g.Generation, g.RotatedAt.Add(time.Minute), g.ExpiresAt.Add(time.Hour)
}

// rotated is the grant after that.
func rotated(g *store.Grant) *store.Grant {
	from, rotatedAt, expiresAt := rotation(g)
	return g.Advanced(from+1, rotatedAt, expiresAt)
}

func rotate(t *testing.T, s store.Grants, g *store.Grant) *store.Grant {
	t.Helper()
	from, rotatedAt, expiresAt := rotation(g)
	next, err := s.Rotate(t.Context(), g.ID, from, rotatedAt, expiresAt)
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	return next
}

// wantRotated compares the generation and its times exactly, which are written and not the store's own.
func wantRotated(t *testing.T, got, want *store.Grant) {
	t.Helper()
	wantGrant(t, got, want)
	if !got.RotatedAt.Equal(want.RotatedAt) || !got.ExpiresAt.Equal(want.ExpiresAt) || !got.RefreshUntil.Equal(want.RefreshUntil) {
		t.Errorf("rotated at %s, good until %s; want %s and %s", got.RotatedAt, got.ExpiresAt, want.RotatedAt, want.ExpiresAt)
	}
}

func testRotate(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	for range 3 {
		want := rotated(g)
		wantRotated(t, rotate(t, h.Grants, g), want)
		wantRotated(t, get(t, h.Grants, g.ID), want)
		g = want
	}
}

func testRotateAtOnce(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	handles := []store.Grants{h.Grants, h.Replica}
	got, errs := make([]*store.Grant, 100), make([]error, 100)
	from, rotatedAt, expiresAt := rotation(g)
	inParallel(len(errs), func(i int) { got[i], errs[i] = handles[i%2].Rotate(t.Context(), g.ID, from, rotatedAt, expiresAt) })
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("Rotate %d: %v", i, err)
		}
		wantRotated(t, got[i], rotated(g)) // winner and losers alike are told of the same successor
	}
	if won != 1 {
		t.Errorf("%d of %d rotated the grant", won, len(errs))
	}
}

// What a replica remembers may be a generation old, in either direction.
func testRotateAtAStaleReplica(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	get(t, h.Replica, g.ID)
	first := rotate(t, h.Grants, g)
	second := rotate(t, h.Replica, first)
	wantRotated(t, second, rotated(first))
	from, rotatedAt, expiresAt := rotation(g)
	for name, s := range map[string]store.Grants{"one": h.Grants, "replica": h.Replica} {
		live, err := s.Rotate(t.Context(), g.ID, from, rotatedAt, expiresAt)
		wantError(t, name, err, store.ErrConflict)
		wantRotated(t, live, second)
	}
}

func testRotateConflicts(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	_, rotatedAt, expiresAt := rotation(g)
	for name, s := range map[string]store.Grants{"one": h.Grants, "replica": h.Replica} {
		for _, from := range []int64{0, 2, 7, -1} {
			live, err := s.Rotate(t.Context(), g.ID, from, rotatedAt, expiresAt)
			wantError(t, name, err, store.ErrConflict)
			wantGrant(t, live, g)
		}
	}
	wantGrant(t, get(t, h.Grants, g.ID), g)
}

func testRotateRevoked(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	get(t, h.Replica, g.ID)
	at := time.Now().UTC().Truncate(time.Second)
	if err := h.Grants.Revoke(t.Context(), g.ID, store.ReasonRevokedByClient, at); err != nil {
		t.Fatal(err)
	}
	want := *g
	want.RevokedAt, want.RevokedReason = at, store.ReasonRevokedByClient
	from, rotatedAt, expiresAt := rotation(g)
	for name, s := range map[string]store.Grants{"one": h.Grants, "replica": h.Replica} { // which may not have heard yet
		live, err := s.Rotate(t.Context(), g.ID, from, rotatedAt, expiresAt)
		wantError(t, name+": Rotate", err, store.ErrConflict)
		wantGrant(t, live, &want)
		live, err = s.Renew(t.Context(), g.ID, from, rotatedAt, expiresAt)
		wantError(t, name+": Renew", err, store.ErrConflict)
		wantGrant(t, live, &want)
	}
}

func testRevokeRotated(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	get(t, h.Replica, g.ID)
	want := *rotate(t, h.Grants, g)
	at := time.Now().UTC().Truncate(time.Second)
	if err := h.Replica.Revoke(t.Context(), g.ID, store.ReasonRefreshTokenReused, at); err != nil {
		t.Fatal(err)
	}
	want.RevokedAt, want.RevokedReason = at, store.ReasonRefreshTokenReused
	wantRotated(t, awaitRevoked(t, h.Grants, g.ID), &want)
}

func testRotateGone(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	if err := h.Delete(t.Context(), g.ID); err != nil {
		t.Fatal(err)
	}
	from, rotatedAt, expiresAt := rotation(g)
	for _, id := range []string{g.ID, newID()} {
		for name, s := range map[string]store.Grants{"one": h.Grants, "replica": h.Replica} {
			_, err := s.Rotate(t.Context(), id, from, rotatedAt, expiresAt)
			wantError(t, name+": Rotate", err, store.ErrNotFound)
			_, err = s.Renew(t.Context(), id, from, rotatedAt, expiresAt)
			wantError(t, name+": Renew", err, store.ErrNotFound)
		}
	}
}

func testReplicaLearnsOfRotation(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	get(t, h.Replica, g.ID)
	want := rotate(t, h.Grants, g)
	wantRotated(t, awaitGrant(t, h.Replica, g.ID, "the rotation", func(g *store.Grant) bool { return g.Generation == want.Generation }), want)
}

func testRenew(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	get(t, h.Replica, g.ID)
	from, rotatedAt, expiresAt := rotation(g)
	want := g.Advanced(from, rotatedAt, expiresAt)
	for name, s := range map[string]store.Grants{"one": h.Grants, "replica": h.Replica} { // the second has nothing to do
		got, err := s.Renew(t.Context(), g.ID, from, rotatedAt, expiresAt)
		if err != nil {
			t.Fatalf("%s: Renew: %v", name, err)
		}
		wantRotated(t, got, want)
		got, err = s.Renew(t.Context(), g.ID, from, rotatedAt.Add(-time.Second), expiresAt.Add(-time.Second))
		if err != nil {
			t.Fatalf("%s: Renew: %v", name, err)
		}
		wantRotated(t, got, want)
		live, err := s.Renew(t.Context(), g.ID, from+1, rotatedAt, expiresAt)
		wantError(t, name+": of another generation", err, store.ErrConflict)
		wantRotated(t, live, want)
	}
	wantRotated(t, awaitGrant(t, h.Replica, g.ID, "the renewal", func(g *store.Grant) bool { return g.RotatedAt.Equal(rotatedAt) }), want)
	wantRotated(t, rotate(t, h.Replica, want), rotated(want))
}

// One that has no refresh token has no generation to leave.
func testRotateWithoutRefreshToken(t *testing.T, h Harness) {
	g := NewGrant()
	g.Generation, g.RefreshUntil, g.RotatedAt = 0, time.Time{}, time.Time{}
	create(t, h.Grants, g)
	got := get(t, h.Grants, g.ID)
	wantGrant(t, got, g)
	if got.Refreshable(time.Now(), time.Hour) {
		t.Error("it can be refreshed")
	}
	for _, from := range []int64{0, 1} {
		_, err := h.Grants.Rotate(t.Context(), g.ID, from, time.Now(), time.Now().Add(time.Hour))
		wantError(t, "Rotate", err, store.ErrConflict)
		_, err = h.Grants.Renew(t.Context(), g.ID, from, time.Now(), time.Now().Add(time.Hour))
		wantError(t, "Renew", err, store.ErrConflict)
	}
	wantGrant(t, get(t, h.Grants, g.ID), g)
}
