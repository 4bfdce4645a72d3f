package clientauth

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAssertionIDs(t *testing.T) {
	s, now := newAssertionIDs(100, 10), testNow()
	exp := now.Add(time.Minute)
	if err := s.use("a", "1", exp, now); err != nil {
		t.Fatal(err)
	}
	if err := s.use("a", "1", exp, now); !errors.Is(err, errSeen) {
		t.Errorf("again: %v", err)
	}
	if err := s.use("b", "1", exp, now); err != nil {
		t.Errorf("another client's: %v", err)
	}
	if err := s.use("a", "1", exp, exp.Add(-time.Nanosecond)); !errors.Is(err, errSeen) {
		t.Errorf("until it expires: %v", err)
	}
	if err := s.use("a", "1", exp.Add(time.Hour), exp.Add(time.Minute)); err != nil {
		t.Errorf("after it expired: %v", err)
	}
}

// Bounded memory: what can't be remembered is refused, one client leaves room for others, and what expired makes room.
func TestAssertionIDsFull(t *testing.T) {
	const limit, limitOfClient = 25, 10
	s, now := newAssertionIDs(limit, limitOfClient), testNow()
	exp := now.Add(time.Minute)
	use := func(client string, n int, now time.Time) (used int) {
		for i := range n {
			err := s.use(client, fmt.Sprint(now.Unix(), i), now.Add(time.Minute), now)
			switch {
			case err == nil:
				used++
			case !errors.Is(err, errTooMany):
				t.Fatal(err)
			}
		}
		return used
	}
	for i, want := range []int{10, 10, 5, 0} {
		if got := use(fmt.Sprint("client", i), 20, now); got != want {
			t.Errorf("client %d used %d; want %d", i, got, want)
		}
	}
	if err := s.use("client0", fmt.Sprint(now.Unix(), 0), exp, now); !errors.Is(err, errSeen) {
		t.Errorf("what was remembered was forgotten: %v", err)
	}
	later := exp.Add(time.Minute)
	if got := use("client3", 20, later); got != 10 {
		t.Errorf("%d after the others expired", got)
	}
	if len(s.seen) != 10 || len(s.ofClient) != 1 || len(s.byMinute) != 1 {
		t.Errorf("%d, %d and %d are kept", len(s.seen), len(s.ofClient), len(s.byMinute))
	}
}
