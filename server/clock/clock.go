// Package clock has all processes of Latchkey go by one clock, which is kube-apiserver's: what one replica has issued, rotated or ended
// has a time that the others compare with their own. Each response of kube-apiserver says what time it is there (RFC 9110 section
// 6.6.1). A machine whose own clock agrees with that is left alone; where it doesn't, kube-apiserver is believed.
package clock

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tolerance is by how much more than what is known about kube-apiserver's time, to a second or so, the machine's own may differ. Two
	// machines that are left alone are 4 seconds apart at most.
	tolerance = time.Second
	// resolution is that of the header Date: it says in which second something was.
	resolution = time.Second
	// askEvery is how often kube-apiserver is asked at least: a clock that is set, or a machine that slept, counts for so long at most.
	askEvery = 10 * time.Second
	// askTimeout bounds one question.
	askTimeout = 5 * time.Second
)

// Clock is a clock that is put right by kube-apiserver's. Its methods may be called from several goroutines.
type Clock struct {
	// local is the machine's own time, and elapsed a clock that nobody can set, such as how long the process has run.
	local   func() time.Time
	elapsed func() time.Duration
	logger  *slog.Logger

	// epoch is what time it was when elapsed was zero.
	epoch atomic.Pointer[time.Time]

	mu sync.Mutex
	// earliest and latest bound the same by kube-apiserver's clock. Both are zero until there was a response.
	earliest, latest time.Time
	// offset is by how much that was believed rather than the machine's own time.
	offset time.Duration
	// seen is when there was a response, by elapsed.
	seen time.Duration
}

// New makes a Clock that has the machine's own time until Watch has seen a response.
func New(logger *slog.Logger) *Clock {
	begin := time.Now()
	return newClock(time.Now, func() time.Duration { return time.Since(begin) }, logger)
}

func newClock(local func() time.Time, elapsed func() time.Duration, logger *slog.Logger) *Clock {
	c := &Clock{local: local, elapsed: elapsed, logger: logger, seen: -askEvery}
	own := c.own()
	c.epoch.Store(&own)
	return c
}

// own is what time it was when elapsed was zero, by the machine's clock as it is now.
func (c *Clock) own() time.Time { return c.local().Round(0).Add(-c.elapsed()) }

// Now is the time.
func (c *Clock) Now() time.Time { return c.epoch.Load().Add(c.elapsed()) }

// Offset is by how much the time is ahead of the machine's own as that was at the last response; zero while the two agree.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// Watch makes a RoundTripper, which looks at the responses of kube-apiserver, of the one that asks it.
func (c *Clock) Watch(next http.RoundTripper) http.RoundTripper { return &watching{next, c} }

type watching struct {
	next  http.RoundTripper
	clock *Clock
}

// RoundTrip implements http.RoundTripper.
func (w *watching) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := w.clock.elapsed()
	response, err := w.next.RoundTrip(request)
	if err != nil {
		return response, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		w.clock.observe(date, sent, w.clock.elapsed())
	}
	return response, nil
}

// WrappedRoundTripper lets client-go find the transport, to close its idle connections.
func (w *watching) WrappedRoundTripper() http.RoundTripper { return w.next }

// observe learns that at some time between two readings of elapsed it was the second that begins with date.
func (c *Clock) observe(date time.Time, sent, received time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = received
	earliest, latest := date.Add(-received), date.Add(resolution-sent)
	if earliest.Before(c.latest) && c.earliest.Before(latest) { // else one of the clocks was set since
		earliest, latest = later(earliest, c.earliest), earlier(latest, c.latest)
	}
	c.earliest, c.latest = earliest, latest
	c.decide()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// decide believes the machine's own clock, unless it can't be right.
func (c *Clock) decide() {
	epoch, offset := c.own(), time.Duration(0)
	if epoch.Before(c.earliest.Add(-tolerance)) || epoch.After(c.latest.Add(tolerance)) {
		right := c.earliest.Add(c.latest.Sub(c.earliest) / 2)
		epoch, offset = right, right.Sub(epoch)
	}
	c.epoch.Store(&epoch)
	switch {
	case offset != 0 && (offset-c.offset).Abs() > tolerance:
		c.logger.Warn("the clock of this machine differs from kube-apiserver's, which is believed", "ahead", (-offset).Round(time.Millisecond).String())
	case offset == 0 && c.offset != 0:
		c.logger.Info("the clock of this machine agrees with kube-apiserver's again")
	}
	c.offset = offset
}

// Follow asks kube-apiserver, until the context ends, whenever nothing was heard of it for a while. What ask sends has to pass Watch; what
// it is answered doesn't matter.
func (c *Clock) Follow(ctx context.Context, ask func(context.Context) error) error {
	tick := time.NewTicker(askEvery / 10)
	defer tick.Stop()
	for {
		if c.silence() >= askEvery {
			c.ask(ctx, ask)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// silence is for how long nothing was heard of kube-apiserver.
func (c *Clock) silence() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed() - c.seen
}

func (c *Clock) ask(ctx context.Context, ask func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := ask(ctx); err != nil { // the time goes on as it did; others tell that kube-apiserver is away
		c.logger.Debug("ask kube-apiserver for the time", "error", err)
	}
}
