package limit

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
)

func network(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func take(t *testing.T, turns *Turns, from netip.Prefix, counted bool) (done func()) {
	t.Helper()
	done, err := turns.Take(t.Context(), from, counted)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// wantNone sees that nobody is let in who can't wait.
func wantNone(t *testing.T, turns *Turns, from netip.Prefix, counted bool) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	impatient := errors.New("impatient")
	cancel(impatient)
	for range 100 { // of two that are ready, select takes either
		done, err := turns.Take(ctx, from, counted)
		if err == nil {
			done()
		}
		if !errors.Is(err, impatient) {
			t.Fatalf("%s finds a place: %v", from, err)
		}
	}
}

// Row: starving others: a network that wants all places has a sixteenth, and what others want is theirs at once.
func TestOneNetworkLeavesTurnsForOthers(t *testing.T) {
	turns, greedy, honest := NewTurns(64), network("192.0.2.1/32"), network("192.0.2.2/32")
	var done []func()
	for range 4 {
		done = append(done, take(t, turns, greedy, true))
	}
	if n := len(turns.all); n != 4 {
		t.Fatalf("%d places are taken", n)
	}
	var waiting sync.WaitGroup
	ctx, giveUp := context.WithCancel(t.Context())
	for range 1000 {
		waiting.Go(func() {
			if _, err := turns.Take(ctx, greedy, true); err == nil {
				t.Error("one network has more than its share")
			}
		})
	}
	take(t, turns, honest, true)()
	take(t, turns, greedy, false)() // of the same network, but somebody
	giveUp()
	waiting.Wait()
	for _, f := range done {
		f()
	}
	take(t, turns, greedy, true)()
	if len(turns.lanes) != 0 || len(turns.all) != 0 {
		t.Errorf("%d lanes and %d places are left behind", len(turns.lanes), len(turns.all))
	}
}

func TestTurnsInAll(t *testing.T) {
	turns := NewTurns(2)
	one := take(t, turns, network("192.0.2.1/32"), true)
	two := take(t, turns, network("192.0.2.2/32"), false)
	wantNone(t, turns, network("192.0.2.3/32"), true)
	wantNone(t, turns, network("192.0.2.3/32"), false)
	one()
	take(t, turns, network("192.0.2.3/32"), true)()
	two()
}

// Who waits is let in when somebody leaves.
func TestTurnsAreHandedOn(t *testing.T) {
	turns, from := NewTurns(16), network("192.0.2.1/32")
	var (
		mu   sync.Mutex
		at   int
		most int
		all  sync.WaitGroup
	)
	for range 100 {
		all.Go(func() {
			done, err := turns.Take(t.Context(), from, true)
			if err != nil {
				t.Error(err)
				return
			}
			defer done()
			mu.Lock()
			defer mu.Unlock()
			at++
			most = max(most, len(turns.all))
		})
	}
	all.Wait()
	if at != 100 || most != 1 {
		t.Errorf("%d had their turn, %d at once; want 100, one at a time", at, most)
	}
}
