package publish

import (
	"context"
	"sync"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
)

const (
	// maxStale is how long a watch may be broken before what it said is no longer served as the truth.
	maxStale = 5 * time.Minute
	// quiet is how long no watch must have failed until all are taken to be whole again: a broken one is tried again every
	// half a minute at the latest.
	quiet = time.Minute
	// judgeEvery is how often the publisher asks.
	judgeEvery = 10 * time.Second
)

// Watchdog knows for how long watches have been broken.
type Watchdog struct {
	// Now is the clock.
	Now func() time.Time

	mu          sync.Mutex
	since, last time.Time
}

// Failed notes that a watch failed, or could not be opened again.
func (d *Watchdog) Failed(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last.IsZero() || now.Sub(d.last) >= quiet {
		d.since = now
	}
	d.last = now
}

// Stale says whether a watch has been broken for so long that the cache is no longer the truth.
func (d *Watchdog) Stale(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.last.IsZero() && now.Sub(d.last) < quiet && now.Sub(d.since) >= maxStale
}

// handler tells the watchdog, and logs as client-go does.
func (d *Watchdog) handler() toolscache.WatchErrorHandlerWithContext {
	return func(ctx context.Context, r *toolscache.Reflector, err error) {
		d.Failed(d.Now())
		toolscache.DefaultWatchErrorHandler(ctx, r, err)
	}
}
