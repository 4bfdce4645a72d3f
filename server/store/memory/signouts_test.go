package memory

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
)

func TestSignOutsConformance(t *testing.T) {
	storetest.RunSignOuts(t, func(*testing.T) storetest.SignOutsHarness {
		s := NewSignOuts(time.Now)
		return storetest.SignOutsHarness{SignOuts: s, Replica: s}
	})
}

func TestSignOutsAreSweptAndBounded(t *testing.T) {
	c := newClock()
	s := NewSignOuts(c.Now)
	if s.limit != 1_000_000 {
		t.Errorf("a server has room for %d", s.limit)
	}
	s.limit = 2
	sign := func(n int) error {
		return s.Record(t.Context(), &store.SignOut{AuthorizationServer: "default", SessionID: fmt.Sprint(n), At: c.now, ExpiresAt: c.now.Add(time.Minute)})
	}
	for n := range 2 {
		if err := sign(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := sign(2); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the limit: %v", err)
	}
	c.now = c.now.Add(time.Minute)
	if err := sign(3); err != nil {
		t.Errorf("after the others expired: %v", err)
	}
	if over, err := s.Over("default", "0"); over || err != nil {
		t.Errorf("what has expired: %t, %v", over, err)
	}
}
