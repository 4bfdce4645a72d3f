// Package generator makes load: calls over connections that are kept, as many as the other side answers or so many a second, and how long each
// took. What is sent, and what must come back, is up to the Caller.
package generator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Caller makes calls over a connection of its own, one at a time.
type Caller interface {
	// Call makes the n-th call of a run and reads its answer. It fails unless that is what it should be, and then the run does.
	Call(n int) error
	// Close ends the connection. It may be called while a call waits for its answer, which then fails.
	Close() error
}

// Dial connects a Caller.
type Dial func(context.Context) (Caller, error)

// Load is what a run consists of.
type Load struct {
	Dial Dial
	// Connections is how many there are, each with one call at a time.
	Connections int
	// Warmup is for how long calls are made before they count, Duration for how long they do then.
	Warmup, Duration time.Duration
	// Supply ends the run after so many calls, those of the warm-up included; zero for no end.
	Supply int
	// Rate is how many calls are due each second, whatever became of those before. Zero is for a closed loop: the next call of a connection
	// begins when the one before has been answered.
	Rate float64
}

// Result is what a run came to.
type Result struct {
	// Calls is how many were answered in Elapsed.
	Calls   int
	Elapsed time.Duration
	// Latency has how long each of them took, in nanoseconds; at a constant rate since it was due, so that those count as well that wait for
	// a connection behind a slow one.
	Latency *hdrhistogram.Histogram
}

// Rate is how many calls were answered in a second.
func (r *Result) Rate() float64 { return float64(r.Calls) / r.Elapsed.Seconds() }

const (
	// highest is the longest latency that is told from longer ones, digits how many digits of each count.
	highest = int64(time.Minute)
	digits  = 3
	// patience is how long calls may take to be answered after a run should have ended.
	patience = 10 * time.Second
)

// NewHistogram makes an empty one for latencies in nanoseconds, which others can be merged into.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), highest, digits)
}

// ErrSilent is that of a run in which calls were not answered.
var ErrSilent = fmt.Errorf("generator: no answer within %v", patience)

// Run connects, and makes calls until time is up, the supply is used up, or one fails.
func (l *Load) Run(ctx context.Context) (*Result, error) {
	callers, err := l.connect(ctx)
	if err != nil {
		return nil, errors.Join(err, closeAll(callers))
	}
	r := newRun(l, time.Now())
	end := context.AfterFunc(ctx, func() { r.fail(context.Cause(ctx), callers) })
	defer end()
	watchdog := time.AfterFunc(l.Warmup+l.Duration+patience, func() { r.fail(ErrSilent, callers) })
	defer watchdog.Stop()
	var all sync.WaitGroup
	for i, c := range callers {
		all.Go(func() {
			if err := r.work(c, r.parts[i]); err != nil {
				r.fail(err, callers)
			}
		})
	}
	all.Wait()
	if err := r.failure(); err != nil {
		return nil, err
	}
	return r.result(), closeAll(callers)
}

// connect dials one connection after another.
func (l *Load) connect(ctx context.Context) ([]Caller, error) {
	var callers []Caller
	for range l.Connections {
		c, err := l.Dial(ctx)
		if err != nil {
			return callers, err
		}
		callers = append(callers, c)
	}
	return callers, nil
}

func closeAll(callers []Caller) error {
	var failures []error
	for _, c := range callers {
		failures = append(failures, c.Close())
	}
	return errors.Join(failures...)
}

// run is a Load under way.
type run struct {
	*Load
	// began is when it did; from there until end it counts, in time since then.
	began     time.Time
	from, end time.Duration
	next      atomic.Int64
	over      atomic.Bool
	parts     []*part
	mu        sync.Mutex
	err       error
}

// part is what one connection makes of a run.
type part struct {
	latency *hdrhistogram.Histogram
	calls   int
	last    time.Duration
}

func newRun(l *Load, now time.Time) *run {
	r := &run{Load: l, began: now, from: l.Warmup, end: l.Warmup + l.Duration}
	for range l.Connections {
		r.parts = append(r.parts, &part{latency: NewHistogram()})
	}
	return r
}

// fail ends the run, with the first error there is.
func (r *run) fail(err error, callers []Caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	r.err = errors.Join(err, closeAll(callers))
	r.over.Store(true)
}

func (r *run) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// work makes calls over one connection.
func (r *run) work(c Caller, p *part) error {
	for !r.over.Load() {
		n := int(r.next.Add(1) - 1)
		since := r.due(n)
		if since >= r.end || r.Supply > 0 && n >= r.Supply {
			return nil
		}
		if err := c.Call(n); err != nil {
			return fmt.Errorf("call %d: %w", n, err)
		}
		if now := time.Since(r.began); now >= r.from && now < r.end {
			if err := p.latency.RecordValue(int64(min(now-since, time.Duration(highest)))); err != nil {
				return err
			}
			p.calls, p.last = p.calls+1, now
		}
	}
	return nil
}

// due waits until it is time for the n-th call, and returns when that was.
func (r *run) due(n int) time.Duration {
	if r.Rate <= 0 {
		return time.Since(r.began)
	}
	due := time.Duration(float64(n) / r.Rate * float64(time.Second))
	if wait := due - time.Since(r.began); wait > 0 && due < r.end {
		<-time.After(wait)
	}
	return due
}

// result adds up the parts. A run whose supply was used up ended with its last call.
func (r *run) result() *Result {
	all := &Result{Latency: NewHistogram()}
	var last time.Duration
	for _, p := range r.parts {
		all.Latency.Merge(p.latency)
		all.Calls += p.calls
		last = max(last, p.last)
	}
	all.Elapsed = r.Duration
	if r.Supply > 0 && int(r.next.Load()) > r.Supply {
		all.Elapsed = max(last-r.from, 1)
	}
	return all
}
