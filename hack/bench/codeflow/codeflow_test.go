package codeflow

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	if s.ratio != 0.7 || s.rate != 350 {
		t.Errorf("%+v", s)
	}
	if s.tail < 1.9 || s.tail > 2.1 || s.p99 < 2.9 || s.p99 > 3.1 {
		t.Errorf("%+v", s)
	}
}

// caller counts its calls.
type caller struct{ calls *int }

func (c caller) Call(int) error { *c.calls++; return nil }

func (c caller) Close() error { return nil }

func TestContestantsTakeTurns(t *testing.T) {
	var order []string
	b := &bench{Options: Options{Rounds: 2, Turn: time.Millisecond}}
	var contestants []contestant
	for _, name := range []string{"a", "b"} {
		dialed := 0
		contestants = append(contestants, contestant{name: name, dial: func(context.Context) (generator.Caller, error) {
			if dialed++; dialed%connections == 0 {
				order = append(order, name)
			}
			return caller{new(int)}, nil
		}})
	}
	standings, err := b.compare(t.Context(), contestants)
	if err != nil || len(standings) != 2 || standings[0].name != "a" || standings[1].name != "b" {
		t.Errorf("%+v, %v", standings, err)
	}
	if want := []string{"a", "b", "b", "a", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("the order was %v, want %v", order, want)
	}
	failing := contestant{name: "c", dial: func(context.Context) (generator.Caller, error) { return nil, errors.New("gone") }}
	if _, err := b.compare(t.Context(), []contestant{failing}); err == nil {
		t.Error("a contestant that can't be reached was compared")
	}
}

func TestAProcessIsKeptOnOneCore(t *testing.T) {
	child := exec.CommandContext(t.Context(), "sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait() // it was killed
	})
	if err := pinChildren(measuredCore, "sleep"); err != nil {
		t.Fatal(err)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(child.Process.Pid, &set); err != nil || set.Count() != 1 || !set.IsSet(measuredCore) {
		t.Errorf("%v, %v", set.Count(), err)
	}
	if err := pin(os.Getpid()+1<<22, measuredCore); err == nil {
		t.Error("a process that is not there was pinned")
	}
}
