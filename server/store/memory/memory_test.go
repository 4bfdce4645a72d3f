package memory

import (
	"errors"
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
		return s.Create(t.Context(), &store.Grant{ID: id, ExpiresAt: c.now.Add(lifetime)})
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
	s.limit = 2
	for _, id := range []string{"a", "b"} {
		if err := s.Create(t.Context(), &store.Grant{ID: id, ExpiresAt: c.now.Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	g := &store.Grant{ID: "c", ExpiresAt: c.now.Add(time.Minute)}
	if err := s.Create(t.Context(), g); !errors.Is(err, ErrFull) {
		t.Fatalf("Create beyond the limit: %v, want ErrFull", err)
	}
	c.now = c.now.Add(remember)
	if err := s.Create(t.Context(), g); err != nil {
		t.Fatalf("Create after the others expired: %v", err)
	}
}
