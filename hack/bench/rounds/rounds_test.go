package rounds

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/generator"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
}

func result(t *testing.T, calls int, latencies ...time.Duration) *generator.Result {
	t.Helper()
	r := &generator.Result{Calls: calls, Elapsed: time.Second, Latency: generator.NewHistogram()}
	for _, l := range latencies {
		if err := r.Latency.RecordValue(int64(l)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// A ratio is that of a round: a machine that gets slower from one to the next makes no difference.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	first := []*generator.Result{result(t, 1000, time.Millisecond), result(t, 500, time.Millisecond), result(t, 100, time.Millisecond)}
	own := []*generator.Result{
		result(t, 700, time.Millisecond, 3*time.Millisecond), result(t, 350, 2*time.Millisecond, 4*time.Millisecond), result(t, 80, time.Millisecond, 2*time.Millisecond),
	}
	s := stand("own", own, first)
	if s.Ratio != 0.7 || s.Rate != 350 {
		t.Errorf("%+v", s)
	}
	if s.Tail < 1.9 || s.Tail > 2.1 || s.P99 < 2.9 || s.P99 > 3.1 {
		t.Errorf("%+v", s)
	}
}

// caller counts its calls.
type caller struct{ calls *int }

func (c caller) Call(int) error { *c.calls++; return nil }

func (c caller) Close() error { return nil }

func TestContestantsTakeTurns(t *testing.T) {
	var order []string
	rules := &Rules{Rounds: 2, Turn: time.Millisecond}
	var contestants []Contestant
	for _, name := range []string{"a", "b"} {
		dialed := 0
		contestants = append(contestants, Contestant{Name: name, Dial: func(context.Context) (generator.Caller, error) {
			if dialed++; dialed%Connections == 0 {
				order = append(order, name)
			}
			return caller{new(int)}, nil
		}})
	}
	standings, err := rules.Compare(t.Context(), contestants)
	if err != nil || len(standings) != 2 || standings[0].Name != "a" || standings[1].Name != "b" {
		t.Errorf("%+v, %v", standings, err)
	}
	if want := []string{"a", "b", "b", "a", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("the order was %v, want %v", order, want)
	}
	failing := Contestant{Name: "c", Dial: func(context.Context) (generator.Caller, error) { return nil, errors.New("gone") }}
	if _, err := rules.Compare(t.Context(), []Contestant{failing}); err == nil {
		t.Error("a contestant that can't be reached was compared")
	}
}

// A call may be several units of work, and a contestant may have connections of its own.
func TestACallCountsForItsUnits(t *testing.T) {
	calls, dialed := 0, 0
	c := Contestant{Name: "loop", Connections: 1, Units: 20, Supply: 3, Dial: func(context.Context) (generator.Caller, error) {
		dialed++
		return caller{&calls}, nil
	}}
	result, err := (&Rules{Turn: time.Minute}).Take(t.Context(), &c)
	if err != nil || dialed != 1 || calls != 3 || result.Calls%20 != 0 {
		t.Errorf("%d connections, %d calls, %+v, %v", dialed, calls, result, err)
	}
}
