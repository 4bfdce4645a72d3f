package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// SignOutsHarness is a backend of sign-outs under test.
type SignOutsHarness struct {
	// SignOuts is the implementation; Replica is a second handle on the same backend, as another replica of the server has one, or
	// SignOuts itself where a backend has only one process.
	SignOuts, Replica store.SignOuts
}

// RunSignOuts runs the suite of store.SignOuts. open is called once a test; what it opens is cleaned up by t.Cleanup.
func RunSignOuts(t *testing.T, open func(t *testing.T) SignOutsHarness) {
	tests := []struct {
		name string
		run  func(*testing.T, SignOutsHarness)
	}{
		{"of a session", testSignOutOfASession},
		{"everywhere", testSignOutEverywhere},
		{"moves on in time and never back", testSignOutMovesOn},
		{"at once, 20 times", testSignOutAtOnce},
		{"a replica learns of it", testReplicaLearnsOfSignOut},
		{"Record honours its context", testSignOutContext},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// NewSignOut makes a sign-out of a random session of a random user.
func NewSignOut() *store.SignOut {
	now := time.Now().UTC()
	return &store.SignOut{
		AuthorizationServer: "default", User: "alice", UserUID: newID(), SessionID: newID(),
		At: now.Truncate(time.Millisecond), ExpiresAt: now.Truncate(time.Second).Add(10 * time.Minute),
	}
}

// everywhere makes a sign-out of all that a random user has.
func everywhere() *store.SignOut {
	o := NewSignOut()
	o.SessionID = ""
	return o
}

func record(t *testing.T, s store.SignOuts, o *store.SignOut) {
	t.Helper()
	if err := s.Record(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func wantOver(t *testing.T, s store.SignOuts, authorizationServer, sessionID string, want bool) {
	t.Helper()
	if over, err := s.Over(authorizationServer, sessionID); err != nil || over != want {
		t.Errorf("Over: %t, %v; want %t", over, err, want)
	}
}

func wantSignedOutAt(t *testing.T, s store.SignOuts, authorizationServer, userUID string, want time.Time) {
	t.Helper()
	if at, err := s.SignedOutAt(authorizationServer, userUID); err != nil || !at.Equal(want) {
		t.Errorf("SignedOutAt: %v, %v; want %v", at, err, want)
	}
}

func testSignOutOfASession(t *testing.T, h SignOutsHarness) {
	o := NewSignOut()
	wantOver(t, h.SignOuts, o.AuthorizationServer, o.SessionID, false)
	record(t, h.SignOuts, o)
	wantOver(t, h.SignOuts, o.AuthorizationServer, o.SessionID, true)
	wantOver(t, h.SignOuts, "other", o.SessionID, false)
	wantOver(t, h.SignOuts, o.AuthorizationServer, newID(), false)
	wantOver(t, h.SignOuts, o.AuthorizationServer, o.UserUID, false)
	wantSignedOutAt(t, h.SignOuts, o.AuthorizationServer, o.UserUID, time.Time{})
	record(t, h.SignOuts, o)
}

func testSignOutEverywhere(t *testing.T, h SignOutsHarness) {
	o := everywhere()
	wantSignedOutAt(t, h.SignOuts, o.AuthorizationServer, o.UserUID, time.Time{})
	record(t, h.SignOuts, o)
	wantSignedOutAt(t, h.SignOuts, o.AuthorizationServer, o.UserUID, o.At)
	wantSignedOutAt(t, h.SignOuts, "other", o.UserUID, time.Time{})
	wantSignedOutAt(t, h.SignOuts, o.AuthorizationServer, newID(), time.Time{})
	wantOver(t, h.SignOuts, o.AuthorizationServer, o.UserUID, false)
	wantOver(t, h.SignOuts, o.AuthorizationServer, "", false)
}

func testSignOutMovesOn(t *testing.T, h SignOutsHarness) {
	first := everywhere()
	record(t, h.SignOuts, first)
	second := *first
	second.At, second.ExpiresAt = first.At.Add(time.Minute), first.ExpiresAt.Add(time.Minute)
	record(t, h.SignOuts, &second)
	wantSignedOutAt(t, h.SignOuts, first.AuthorizationServer, first.UserUID, second.At)
	record(t, h.SignOuts, first)
	wantSignedOutAt(t, h.SignOuts, first.AuthorizationServer, first.UserUID, second.At)
}

func testSignOutAtOnce(t *testing.T, h SignOutsHarness) {
	o := everywhere()
	handles := []store.SignOuts{h.SignOuts, h.Replica}
	errs := make([]error, 20)
	inParallel(len(errs), func(i int) {
		later := *o
		later.At = o.At.Add(time.Duration(i) * time.Second)
		errs[i] = handles[i%2].Record(t.Context(), &later)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	last := o.At.Add(time.Duration(len(errs)-1) * time.Second)
	for name, handle := range map[string]store.SignOuts{"first": h.SignOuts, "second": h.Replica} {
		await(t, name+" handle", func() bool {
			at, err := handle.SignedOutAt(o.AuthorizationServer, o.UserUID)
			return err == nil && at.Equal(last)
		})
	}
}

func testReplicaLearnsOfSignOut(t *testing.T, h SignOutsHarness) {
	session, all := NewSignOut(), everywhere()
	record(t, h.SignOuts, session)
	record(t, h.SignOuts, all)
	await(t, "of the session", func() bool {
		over, err := h.Replica.Over(session.AuthorizationServer, session.SessionID)
		return err == nil && over
	})
	await(t, "everywhere", func() bool {
		at, err := h.Replica.SignedOutAt(all.AuthorizationServer, all.UserUID)
		return err == nil && at.Equal(all.At)
	})
}

func testSignOutContext(t *testing.T, h SignOutsHarness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.SignOuts.Record(ctx, NewSignOut()); err == nil {
		t.Error("Record with a cancelled context succeeded")
	}
}
