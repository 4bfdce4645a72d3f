package kubernetes

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// maxCalls is how many changes, and live reads, of a kind are under way at once. The API server shares itself out among callers, and all
	// replicas are one to it: a thousand requests at once would only wait there, until nobody knows any more what became of them, and
	// a replica that starts would wait behind them to read anything.
	maxCalls = 64
	// maxWaiting is how many more wait for their turn, and turnTimeout for how long.
	maxWaiting  = 2048
	turnTimeout = 10 * time.Second
)

// errBusy says that nothing was sent: too much is under way.
var errBusy = errors.New("too many requests to the API server are under way")

// turns lets so many go ahead at once, in the order in which they came.
type turns struct {
	taken   chan struct{}
	waiting atomic.Int64
	most    int64
	timeout time.Duration
}

func newTurns() *turns {
	return &turns{taken: make(chan struct{}, maxCalls), most: maxWaiting, timeout: turnTimeout}
}

// take waits for a turn. Without one it is errBusy, or the context's error.
func (t *turns) take(ctx context.Context) (end func(), err error) {
	end = func() { <-t.taken }
	select {
	case t.taken <- struct{}{}:
		return end, nil
	default:
	}
	defer t.waiting.Add(-1)
	if t.waiting.Add(1) > t.most {
		return nil, errBusy
	}
	late := time.NewTimer(t.timeout)
	defer late.Stop()
	select {
	case t.taken <- struct{}{}:
		return end, nil
	case <-late.C:
		return nil, errBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
