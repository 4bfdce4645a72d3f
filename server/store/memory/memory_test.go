package memory

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		s := New(time.Now)
		return storetest.Harness{Grants: s, Replica: s, Delete: s.Delete}
	})
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func TestSweep(t *testing.T) {
	c := newClock()
	s := New(c.Now)
	create := func(id string, lifetime time.Duration) error {
		return s.Create(t.Context(), &store.Grant{ID: id, ExpiresAt: c.now.Add(lifetime)}, store.NoLimit)
	}
	for id, lifetime := range map[string]time.Duration{"short": time.Second, "long": time.Hour, "deleted": time.Hour} {
		if err := create(id, lifetime); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}

	c.now = c.now.Add(remember - time.Second)
	for _, id := range []string{"short", "long", "deleted"} {
		if err := create(id, time.Hour); !errors.Is(err, store.ErrExists) {
			t.Errorf("Create(%q) while a code may still name it: %v, want ErrExists", id, err)
		}
	}

	c.now = c.now.Add(time.Second)
	if err := create("other", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "short"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of an expired grant after the sweep: %v, want ErrNotFound", err)
	}
	if _, err := s.Get(t.Context(), "long"); err != nil {
		t.Errorf("Get of a live grant after the sweep: %v", err)
	}

	c.now = c.now.Add(2 * time.Hour)
	if err := create("last", time.Minute); err != nil {
		t.Fatal(err)
	}
	if len(s.entries) != 1 || len(s.queue) != 1 {
		t.Errorf("%d entries and %d queued after everything else expired, want 1 and 1", len(s.entries), len(s.queue))
	}
}

func TestFull(t *testing.T) {
	c := newClock()
	s := New(c.Now)
	if s.limit != 1_000_000 {
		t.Errorf("a server has room for %d", s.limit)
	}
	s.limit = 2
	for _, id := range []string{"a", "b"} {
		if err := s.Create(t.Context(), &store.Grant{ID: id, ExpiresAt: c.now.Add(time.Minute)}, store.NoLimit); err != nil {
			t.Fatal(err)
		}
	}
	g := &store.Grant{ID: "c", ExpiresAt: c.now.Add(time.Minute)}
	if err := s.Create(t.Context(), g, store.NoLimit); !errors.Is(err, ErrFull) {
		t.Fatalf("Create beyond the limit: %v, want ErrFull", err)
	}
	c.now = c.now.Add(remember)
	if err := s.Create(t.Context(), g, store.NoLimit); err != nil {
		t.Fatalf("Create after the others expired: %v", err)
	}
}

// A grant that is refreshed is kept for as long as it says then, wherever it stood in the queue; and nothing of it is left after.
func TestARotatedGrantIsSweptLater(t *testing.T) {
	c := newClock()
	s := New(c.Now)
	until := c.now.Add(48 * time.Hour)
	for i := range 100 {
		g := &store.Grant{ID: fmt.Sprint("g", i), AuthorizationServer: "default", UserUID: "u", SessionID: fmt.Sprint("s", i%7), Generation: 1, ExpiresAt: c.now.Add(time.Duration(i%10+1) * time.Hour)}
		if err := s.Create(t.Context(), g, store.NoLimit); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 100; i += 3 {
		if _, err := s.Rotate(t.Context(), fmt.Sprint("g", i), 1, c.now, until); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range s.queue {
		if e.place != i {
			t.Fatalf("the entry at %d says that it is at %d", i, e.place)
		}
	}
	sweep := func(at time.Time, want int) {
		t.Helper()
		c.now = at
		s.sweep(c.now)
		found, err := s.Find(t.Context(), store.Query{AuthorizationServer: "default", UserUID: "u"})
		if err != nil || len(found) != want || len(s.entries) != want {
			t.Errorf("%d found of %d, want %d: %v", len(found), len(s.entries), want, err)
		}
	}
	sweep(c.now.Add(24*time.Hour), 34)
	sweep(until, 0)
}
