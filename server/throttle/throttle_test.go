package throttle

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func attempt(user, source string) Attempt {
	return Attempt{Issuer: "https://login.example.com", User: user, Source: netip.MustParseAddr(source)}
}

// TestOneUserFromOneNetwork walks the waits that follow failures.
func TestOneUserFromOneNetwork(t *testing.T) {
	c := newClock()
	l := New(c.now)
	a := attempt("alice", "192.0.2.1")
	for i := range 5 {
		if wait, ok := l.Allow(a); !ok {
			t.Fatalf("attempt %d: wait %s", i+1, wait)
		}
	}
	for i, minutes := range []time.Duration{1, 2, 4, 8, 15, 15} {
		wait, ok := l.Allow(a)
		if ok || wait != minutes*time.Minute {
			t.Fatalf("after %d failures: %v, wait %s; want %d minutes", 5+i, ok, wait, minutes)
		}
		c.t = c.t.Add(wait - time.Second)
		if wait, ok := l.Allow(a); ok || wait != time.Second {
			t.Fatalf("a second too early: %v, wait %s", ok, wait)
		}
		c.t = c.t.Add(time.Second)
		if wait, ok := l.Allow(a); !ok {
			t.Fatalf("in time: wait %s", wait)
		}
	}
	c.t = c.t.Add(24 * time.Hour)
	for i := range 5 {
		if wait, ok := l.Allow(a); !ok {
			t.Fatalf("the next day, attempt %d: wait %s", i+1, wait)
		}
	}
}

func TestSuccessForgives(t *testing.T) {
	l := New(newClock().now)
	a := attempt("alice", "192.0.2.1")
	for round := range 7 { // four mistakes and the right password; an eighth time would meet the network's own limit
		for i := range 5 {
			if wait, ok := l.Allow(a); !ok {
				t.Fatalf("round %d, attempt %d: wait %s", round+1, i+1, wait)
			}
		}
		l.Success(a)
	}
}

func TestSuccessAndReleaseTakeTheChargeBack(t *testing.T) {
	for name, undo := range map[string]func(*Limiter, Attempt){"Success": (*Limiter).Success, "Release": (*Limiter).Release} {
		t.Run(name, func(t *testing.T) {
			l := New(newClock().now)
			for i := range 1000 { // a company behind one address in the morning
				a := attempt(fmt.Sprintf("user-%d", i%7), "192.0.2.1")
				if wait, ok := l.Allow(a); !ok {
					t.Fatalf("attempt %d: wait %s", i+1, wait)
				}
				undo(l, a)
			}
		})
	}
}

func TestOneNetworkForManyUsers(t *testing.T) {
	c := newClock()
	l := New(c.now)
	for i := range 30 {
		if wait, ok := l.Allow(attempt(fmt.Sprintf("user-%d", i), "2001:db8:0:1::1")); !ok {
			t.Fatalf("attempt %d: wait %s", i+1, wait)
		}
	}
	wait, ok := l.Allow(attempt("alice", "2001:db8:0:1:ffff::2")) // the same /64
	if ok || wait != 20*time.Second {
		t.Fatalf("attempt 31: %v, wait %s", ok, wait)
	}
	if wait, ok := l.Allow(attempt("alice", "2001:db8:0:2::1")); !ok {
		t.Fatalf("from another network: wait %s", wait)
	}
	c.t = c.t.Add(wait)
	if wait, ok := l.Allow(attempt("alice", "2001:db8:0:1::1")); !ok {
		t.Fatalf("in time: wait %s", wait)
	}
}

// A user is guessed at from everywhere, and still gets in from a network of old.
func TestNobodyIsLockedOutFromElsewhere(t *testing.T) {
	c := newClock()
	l := New(c.now)
	home := attempt("alice", "198.51.100.7")
	l.Allow(home)
	l.Success(home)
	guessed := 0
	for i := range 200 {
		if _, ok := l.Allow(attempt("alice", fmt.Sprintf("203.0.113.%d", i))); ok {
			guessed++
		}
	}
	if guessed != 100 {
		t.Errorf("%d guesses from everywhere; want 100", guessed)
	}
	if wait, ok := l.Allow(attempt("alice", "198.51.100.8")); ok || wait != 36*time.Second {
		t.Errorf("from a new network: %v, wait %s", ok, wait)
	}
	if wait, ok := l.Allow(home); !ok {
		t.Errorf("from home: wait %s", wait)
	}
	if _, ok := l.Allow(attempt("bob", "198.51.100.8")); !ok {
		t.Error("bob pays for alice")
	}
	other := home
	other.Issuer, other.Source = "https://login.example.org", netip.MustParseAddr("198.51.100.8")
	if _, ok := l.Allow(other); !ok {
		t.Error("one issuer pays for another")
	}
	c.t = c.t.Add(31 * 24 * time.Hour)
	if l.isFamiliar(keysOf(home), c.t) {
		t.Error("a network is familiar for ever")
	}
}

// TestPasswordGuessing100AtOnce: attempts count when they begin, not when they have failed.
func TestPasswordGuessing100AtOnce(t *testing.T) {
	l := New(newClock().now)
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, ok := l.Allow(attempt("alice", "192.0.2.1")); ok {
				allowed.Add(1)
			}
		})
	}
	all.Wait()
	if n := allowed.Load(); n != 5 {
		t.Errorf("%d of 100 were allowed; want 5", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	l := newLimiter(newClock().now, 8)
	for i := range 100 {
		a := attempt(strings.Repeat("x", i), fmt.Sprintf("192.0.2.%d", i))
		l.Allow(a)
		l.Success(a)
		l.Allow(a)
		l.Release(attempt("evicted", fmt.Sprintf("198.51.100.%d", i))) // knows nothing any more
	}
	for name, n := range map[string]int{"pairs": l.pairs.Len(), "users": l.users.Len(), "sources": l.sources.Len(), "familiar": l.familiar.Len()} {
		if n > 8 {
			t.Errorf("%s: %d entries", name, n)
		}
	}
	all := New(newClock().now)
	for i := range 40_000 {
		all.familiar.Add(key(fmt.Appendf(nil, "%016d", i)), time.Time{})
	}
	if n := all.familiar.Len(); n != 32_768 {
		t.Errorf("%d entries of a server", n)
	}
}
