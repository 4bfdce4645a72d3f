package kubernetes

import (
	"context"
	"sync"
)

// claims let one caller at a time work on an id. The zero claims are ready.
type claims struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the id is free again
}

// acquire waits until the id is free, or the context is done.
func (c *claims) acquire(ctx context.Context, id string) (release func(), err error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		busy, mine := c.try(id)
		if mine {
			return func() { c.release(id, busy) }, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *claims) try(id string) (busy chan struct{}, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if busy, ok := c.busy[id]; ok {
		return busy, false
	}
	if c.busy == nil {
		c.busy = map[string]chan struct{}{}
	}
	c.busy[id] = make(chan struct{})
	return c.busy[id], true
}

func (c *claims) release(id string, busy chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, id)
	close(busy)
}
