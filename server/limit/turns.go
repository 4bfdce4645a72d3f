package limit

import (
	"context"
	"net/netip"
	"sync"
)

// Turns are places for which those wait who find none: a number of them in all, and a sixteenth for any one network, so that one which
// wants all of them keeps others waiting for the next turn at most. They are safe for concurrent use.
type Turns struct {
	all   chan struct{}
	ofOne int

	mu    sync.Mutex
	lanes map[netip.Prefix]*lane // those that somebody is in, or waits for
}

// lane is the places of a network.
type lane struct {
	places chan struct{}
	users  int
}

// NewTurns makes Turns of total places.
func NewTurns(total int) *Turns {
	return &Turns{all: make(chan struct{}, total), ofOne: max(total/16, 1), lanes: map[netip.Prefix]*lane{}}
}

// Take waits for a place for the network, until the context is done, whose error it returns then. Who has a place must call done. One that
// is not counted by its network, for it has proven to be somebody, waits for its turn among all alone.
func (t *Turns) Take(ctx context.Context, network netip.Prefix, counted bool) (done func(), err error) {
	leave := func() {}
	if counted {
		if leave, err = t.enter(ctx, network); err != nil {
			return nil, err
		}
	}
	select {
	case t.all <- struct{}{}:
		return func() { <-t.all; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// enter waits for a place in the network's lane.
func (t *Turns) enter(ctx context.Context, network netip.Prefix) (leave func(), err error) {
	l := t.lane(network)
	select {
	case l.places <- struct{}{}:
		return func() { <-l.places; t.forget(network, l) }, nil
	case <-ctx.Done():
		t.forget(network, l)
		return nil, context.Cause(ctx)
	}
}

func (t *Turns) lane(network netip.Prefix) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lanes[network]
	if l == nil {
		l = &lane{places: make(chan struct{}, t.ofOne)}
		t.lanes[network] = l
	}
	l.users++
	return l
}

// forget takes a user of the lane away, and the lane with the last one.
func (t *Turns) forget(network netip.Prefix, l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(t.lanes, network)
	}
}
