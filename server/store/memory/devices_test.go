package memory

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
)

func TestDevicesConformance(t *testing.T) {
	storetest.RunDevices(t, func(*testing.T) storetest.DevicesHarness {
		s := NewDevices(time.Now)
		return storetest.DevicesHarness{Devices: s, Replica: s, Delete: s.Delete}
	})
}

func TestDevicesAreSweptAndBounded(t *testing.T) {
	c := newClock()
	s := NewDevices(c.Now)
	if s.limit != 100_000 {
		t.Errorf("a server has room for %d", s.limit)
	}
	s.limit = 2
	create := func(name string, lifetime time.Duration) error {
		return s.Create(t.Context(), &store.Device{Name: name, ID: name, ExpiresAt: c.now.Add(lifetime)})
	}
	for name, lifetime := range map[string]time.Duration{"short": time.Minute, "long": time.Hour} {
		if err := create(name, lifetime); err != nil {
			t.Fatal(err)
		}
	}
	if err := create("more", time.Minute); !errors.Is(err, ErrFull) {
		t.Fatalf("Create beyond the limit: %v, want ErrFull", err)
	}
	c.now = c.now.Add(time.Minute)
	if err := create("more", time.Minute); err != nil {
		t.Fatalf("Create after another expired: %v", err)
	}
	if _, err := s.Get(t.Context(), "short"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of what has expired after the sweep: %v", err)
	}
	if _, err := s.Get(t.Context(), "long"); err != nil {
		t.Errorf("Get of what has not: %v", err)
	}
}
