package generator

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// counter counts calls, and fails the one that is told.
type counter struct {
	calls, closed atomic.Int64
	failing       int
	seen          chan int
}

var errRefused = errors.New("refused")

func (c *counter) Call(n int) error {
	c.calls.Add(1)
	if c.seen != nil {
		c.seen <- n
	}
	if c.failing > 0 && n == c.failing {
		return errRefused
	}
	return nil
}

func (c *counter) Close() error {
	c.closed.Add(1)
	return nil
}

func (c *counter) dial(context.Context) (Caller, error) { return c, nil }

func TestASupplyIsUsedOnce(t *testing.T) {
	c := &counter{seen: make(chan int, 100)}
	load := Load{Dial: c.dial, Connections: 4, Duration: time.Minute, Supply: 100}
	result, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for range 100 {
		seen[<-c.seen] = true
	}
	if result.Calls != 100 || c.calls.Load() != 100 || len(seen) != 100 || result.Latency.TotalCount() != 100 || c.closed.Load() != 4 {
		t.Errorf("%d calls, %d made, %d different, %d times, %d closed", result.Calls, c.calls.Load(), len(seen), result.Latency.TotalCount(), c.closed.Load())
	}
	if result.Elapsed >= time.Minute || result.Rate() < 2 {
		t.Errorf("it took %v, %v a second: a run ends with its supply", result.Elapsed, result.Rate())
	}
}

func TestACallThatFailsEndsTheRun(t *testing.T) {
	c := &counter{failing: 7}
	load := Load{Dial: c.dial, Connections: 2, Duration: time.Minute}
	if _, err := load.Run(t.Context()); !errors.Is(err, errRefused) {
		t.Error(err)
	}
}

func TestARunThatIsCancelledFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &counter{seen: make(chan int)}
	go func() {
		<-c.seen
		cancel()
		for range c.seen {
		}
	}()
	load := Load{Dial: c.dial, Connections: 1, Duration: time.Minute}
	_, err := load.Run(ctx)
	close(c.seen)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A call that is due while the only connection is busy has waited since then, however quickly it is answered at last.
func TestWaitingForAConnectionCounts(t *testing.T) {
	c := &counter{seen: make(chan int)}
	answer := make(chan struct{})
	go func() {
		<-c.seen
		<-time.After(50 * time.Millisecond) // of a hundred due calls; however long it is, they wait
		close(answer)
		for range c.seen {
		}
	}()
	load := Load{Dial: func(context.Context) (Caller, error) { return &stuck{counter: c, until: answer}, nil }, Connections: 1, Duration: time.Minute, Supply: 100, Rate: 1e6}
	result, err := load.Run(t.Context())
	close(c.seen)
	if err != nil || result.Calls != 100 {
		t.Fatal(result, err)
	}
	if shortest := time.Duration(result.Latency.Min()); shortest < 40*time.Millisecond {
		t.Errorf("a call waited for %v only", shortest)
	}
}

// stuck does not answer its first call until then.
type stuck struct {
	*counter
	until <-chan struct{}
}

func (s *stuck) Call(n int) error {
	if err := s.counter.Call(n); err != nil {
		return err
	}
	<-s.until
	return nil
}
