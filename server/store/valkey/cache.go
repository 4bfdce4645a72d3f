package valkey

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache remembers grants that were read, until the server tells that they have changed.
//
// What is read takes a place before the request is sent. Whatever is told in between takes the place away, and the answer, which
// may be of before, has nowhere to be put: so nothing stays that is older than the last word about it.
type cache struct {
	mu     sync.Mutex
	places *simplelru.LRU[string, *place]
	// believedUntil is when what is here stops counting, unless the server is heard from again.
	believedUntil time.Time
}

// place is where a grant is, or will be; its entry is nil while it is being read.
type place struct{ entry *entry }

func newCache(size int) *cache {
	places, err := simplelru.NewLRU[string, *place](size, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &cache{places: places}
}

// get returns what is remembered and believed, or nil.
func (c *cache) get(id string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.places.Get(id)
	if !ok || !time.Now().Before(c.believedUntil) {
		return nil
	}
	return p.entry
}

// begin makes a place for what is about to be read.
func (c *cache) begin(id string) *place {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.places.Get(id); ok {
		return p
	}
	p := &place{}
	c.places.Add(id, p)
	return p
}

// fill puts what was read into its place, where nobody looks any more if it was taken away.
func (c *cache) fill(p *place, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.entry = e
}

func (c *cache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places.Remove(id)
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places.Purge()
}

// believe says until when what is remembered counts.
func (c *cache) believe(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.believedUntil = until
}

func (c *cache) disbelieve() { c.believe(time.Time{}) }

// knows says whether the id was seen in use, believed or not: an id is never used again.
func (c *cache) knows(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.places.Peek(id)
	return ok && p.entry != nil
}

func (c *cache) believed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Before(c.believedUntil)
}
