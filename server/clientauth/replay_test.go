package clientauth

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAssertionIDs(t *testing.T) {
	s, now := newAssertionIDs(100, 100, 10), testNow()
	exp := now.Add(time.Minute)
	if err := s.use(signer{"demo", "a"}, "1", exp, now); err != nil {
		t.Fatal(err)
	}
	if err := s.use(signer{"demo", "a"}, "1", exp, now); !errors.Is(err, errSeen) {
		t.Errorf("again: %v", err)
	}
	if err := s.use(signer{"demo", "b"}, "1", exp, now); err != nil {
		t.Errorf("another client's: %v", err)
	}
	if err := s.use(signer{"demo", "a"}, "1", exp, exp.Add(-time.Nanosecond)); !errors.Is(err, errSeen) {
		t.Errorf("until it expires: %v", err)
	}
	if err := s.use(signer{"demo", "a"}, "1", exp.Add(time.Hour), exp.Add(time.Minute)); err != nil {
		t.Errorf("after it expired: %v", err)
	}
}

// Bounded memory: what can't be remembered is refused, one client leaves room for others, and what expired makes room.
func TestAssertionIDsFull(t *testing.T) {
	if s := New(Config{}).seen; s.max != 500_000 || s.maxOfNamespace != 125_000 || s.maxOfClient != 20_000 {
		t.Errorf("a server remembers %d, %d and %d", s.max, s.maxOfNamespace, s.maxOfClient)
	}
	const limit, limitOfClient = 25, 10
	s, now := newAssertionIDs(limit, limit, limitOfClient), testNow()
	exp := now.Add(time.Minute)
	use := func(client string, n int, now time.Time) (used int) {
		for i := range n {
			err := s.use(signer{"demo", client}, fmt.Sprint(now.Unix(), i), now.Add(time.Minute), now)
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
	if err := s.use(signer{"demo", "client0"}, fmt.Sprint(now.Unix(), 0), exp, now); !errors.Is(err, errSeen) {
		t.Errorf("what was remembered was forgotten: %v", err)
	}
	later := exp.Add(time.Minute)
	if got := use("client3", 20, later); got != 10 {
		t.Errorf("%d after the others expired", got)
	}
	if len(s.seen) != 10 || len(s.ofNamespace) != 1 || len(s.ofClient) != 1 || len(s.byMinute) != 1 {
		t.Errorf("%d, %d and %d are kept", len(s.seen), len(s.ofClient), len(s.byMinute))
	}
}

// One team can't take the room of the others by having many clients.
func TestAssertionIDsOfANamespace(t *testing.T) {
	s, now := newAssertionIDs(100, 25, 10), testNow()
	use := func(namespace string, clients int, now time.Time) (used int) {
		for c := range clients {
			for i := range 10 {
				err := s.use(signer{namespace, fmt.Sprint(namespace, c)}, fmt.Sprint(now.Unix(), i), now.Add(time.Minute), now)
				switch {
				case err == nil:
					used++
				case !errors.Is(err, errTooMany):
					t.Fatal(err)
				}
			}
		}
		return used
	}
	for range 2 {
		if greedy, modest := use("greedy", 20, now), use("modest", 2, now); greedy != 25 || modest != 20 {
			t.Errorf("one namespace used %d, another %d", greedy, modest)
		}
		now = now.Add(3 * time.Minute) // what expired makes room
	}
}
