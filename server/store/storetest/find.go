package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

func find(t *testing.T, s store.Grants, q store.Query) []string {
	t.Helper()
	grants, err := s.Find(t.Context(), q)
	if err != nil {
		t.Fatalf("Find %+v: %v", q, err)
	}
	var ids []string
	for _, g := range grants {
		ids = append(ids, g.ID)
	}
	slices.Sort(ids)
	return ids
}

// wantFound polls the replica: one that lags behind finds what it has heard of. The handle that wrote finds all at once.
func wantFound(t *testing.T, h Harness, q store.Query, grants ...*store.Grant) {
	t.Helper()
	var want []string
	for _, g := range grants {
		want = append(want, g.ID)
	}
	slices.Sort(want)
	if got := find(t, h.Grants, q); !slices.Equal(got, want) {
		t.Errorf("Find %+v: got %v, want %v", q, got, want)
	}
	var got []string
	if !poll(t, func() bool { got = find(t, h.Replica, q); return slices.Equal(got, want) }) {
		t.Errorf("Find %+v at the replica: got %v after %s, want %v", q, got, patience, want)
	}
}

// family makes three grants of one user at two clients in two sessions, and one each of another user and another issuer, all of
// which are told apart by ids of their own.
func family(t *testing.T, h Harness) (phone, laptop, other, stranger, elsewhere *store.Grant) {
	user, client := newID(), newID()
	make := func(change func(*store.Grant)) *store.Grant {
		g := NewGrant()
		g.UserUID, g.ClientUID = user, client
		change(g)
		create(t, h.Grants, g)
		return g
	}
	phone = make(func(*store.Grant) {})
	laptop = make(func(*store.Grant) {})
	other = make(func(g *store.Grant) { g.ClientUID, g.SessionID = newID(), laptop.SessionID })
	stranger = make(func(g *store.Grant) { g.UserUID, g.SessionID = newID(), laptop.SessionID })
	elsewhere = make(func(g *store.Grant) { g.AuthorizationServer, g.SessionID = "other", laptop.SessionID })
	return phone, laptop, other, stranger, elsewhere
}

func testFind(t *testing.T, h Harness) {
	phone, laptop, other, stranger, elsewhere := family(t, h)
	const as = "default"
	wantFound(t, h, store.Query{AuthorizationServer: as, UserUID: phone.UserUID}, phone, laptop, other)
	wantFound(t, h, store.Query{AuthorizationServer: as, UserUID: phone.UserUID, ClientUID: phone.ClientUID}, phone, laptop)
	wantFound(t, h, store.Query{AuthorizationServer: as, SessionID: phone.SessionID}, phone)
	wantFound(t, h, store.Query{AuthorizationServer: as, SessionID: laptop.SessionID}, laptop, other, stranger)
	wantFound(t, h, store.Query{AuthorizationServer: as, UserUID: phone.UserUID, SessionID: laptop.SessionID}, laptop, other)
	wantFound(t, h, store.Query{AuthorizationServer: "other", UserUID: phone.UserUID}, elsewhere)
	wantFound(t, h, store.Query{AuthorizationServer: as, UserUID: newID()})
	wantFound(t, h, store.Query{AuthorizationServer: as, UserUID: stranger.UserUID, ClientUID: newID()})
	grants, err := h.Grants.Find(t.Context(), store.Query{AuthorizationServer: as, SessionID: phone.SessionID})
	if err != nil || len(grants) != 1 {
		t.Fatalf("Find: %d, %v", len(grants), err)
	}
	wantGrant(t, grants[0], phone)
}

func testFindLeavesOut(t *testing.T, h Harness) {
	phone, laptop, other, _, _ := family(t, h)
	q := store.Query{AuthorizationServer: "default", UserUID: phone.UserUID}
	if err := h.Grants.Revoke(t.Context(), phone.ID, store.ReasonSignedOut, time.Now()); err != nil {
		t.Fatal(err)
	}
	wantFound(t, h, q, laptop, other)
	wantFound(t, h, store.Query{AuthorizationServer: "default", SessionID: phone.SessionID})
	if err := h.Delete(t.Context(), other.ID); err != nil {
		t.Fatal(err)
	}
	wantFound(t, h, q, laptop)
	next := rotate(t, h.Grants, laptop)
	wantFound(t, h, q, laptop)
	if !poll(t, func() bool {
		grants, err := h.Replica.Find(t.Context(), q)
		return err == nil && len(grants) == 1 && grants[0].Generation == next.Generation && grants[0].ExpiresAt.Equal(next.ExpiresAt)
	}) {
		t.Error("the replica does not find the grant as it is since it was rotated")
	}
}

// testLimit: what Find returns counts against the limit; what else counts is of that user, too, at most one, of another issuer.
func testLimit(t *testing.T, h Harness) {
	phone, _, other, _, _ := family(t, h) // three of the user
	within := func(s store.Grants, userUID string, limit int) error {
		g := NewGrant()
		g.AuthorizationServer, g.UserUID = phone.AuthorizationServer, userUID
		err := s.Create(t.Context(), g, limit)
		if _, there := s.Get(t.Context(), g.ID); errors.Is(err, store.ErrTooMany) && !errors.Is(there, store.ErrNotFound) {
			t.Errorf("what was refused for the limit is there: %v", there)
		}
		if err == nil {
			err = h.Delete(t.Context(), g.ID)
		}
		return err
	}
	wantError(t, "the fourth of three", within(h.Grants, phone.UserUID, 3), store.ErrTooMany)
	wantError(t, "the fifth of five", within(h.Grants, phone.UserUID, 5), nil)
	wantError(t, "the fourth, without a limit", within(h.Grants, phone.UserUID, store.NoLimit), nil)
	wantError(t, "the first of another user", within(h.Grants, newID(), 1), nil)
	if !poll(t, func() bool { return errors.Is(within(h.Replica, phone.UserUID, 3), store.ErrTooMany) }) {
		t.Error("the replica does not count them")
	}
	if err := h.Delete(t.Context(), other.ID); err != nil {
		t.Fatal(err)
	}
	if !poll(t, func() bool { return within(h.Grants, phone.UserUID, 4) == nil }) {
		t.Error("one that was deleted is counted")
	}
}

// testKnown: what has been read is known, on another replica too, and is not known otherwise than it is a moment after it has changed.
func testKnown(t *testing.T, h Harness) {
	if g := h.Grants.Known(t.Context(), newID()); g != nil {
		t.Errorf("a grant that never was is known: %+v", g)
	}
	revoked, deleted := NewGrant(), NewGrant()
	for _, g := range []*store.Grant{revoked, deleted} {
		create(t, h.Grants, g)
		if !poll(t, func() bool {
			_, err := h.Replica.Get(t.Context(), g.ID)
			known := h.Replica.Known(t.Context(), g.ID)
			return err == nil && known != nil && known.ID == g.ID
		}) {
			t.Error("the replica does not know a grant that it has read")
		}
	}
	if err := errors.Join(h.Grants.Revoke(t.Context(), revoked.ID, store.ReasonSignedOut, time.Now()), h.Delete(t.Context(), deleted.ID)); err != nil {
		t.Fatal(err)
	}
	if !poll(t, func() bool {
		known := h.Replica.Known(t.Context(), revoked.ID)
		return (known == nil || !known.RevokedAt.IsZero()) && h.Replica.Known(t.Context(), deleted.ID) == nil
	}) {
		t.Error("the replica takes grants to be there that were revoked and deleted")
	}
}

func testFindNeedsAQuery(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	for _, q := range []store.Query{{}, {AuthorizationServer: g.AuthorizationServer}, {UserUID: g.UserUID}, {SessionID: g.SessionID}, {AuthorizationServer: g.AuthorizationServer, ClientUID: g.ClientUID}} {
		_, err := h.Grants.Find(t.Context(), q)
		wantError(t, "Find", err, store.ErrQuery)
	}
}
