package valkey_test

import (
	"maps"
	"sync"
	"testing"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// tally is what OnWrite was told.
type tally struct {
	mu    sync.Mutex
	verbs map[string]int
}

func (c *tally) count(verb string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.verbs == nil {
		c.verbs = map[string]int{}
	}
	c.verbs[verb]++
}

// A code flow is one write and its indexes, a refresh one, and looking costs none.
func TestWritesAreCounted(t *testing.T) {
	_, config := alone(t)
	var c tally
	config.OnWrite = c.count
	s := open(t, config)
	g := create(t, s)
	remember(t, s, g.ID)
	if _, err := s.Rotate(t.Context(), g.ID, 1, g.RotatedAt, g.ExpiresAt); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if want := map[string]int{valkey.VerbCreate: 1, valkey.VerbIndex: 1, valkey.VerbUpdate: 1}; !maps.Equal(c.verbs, want) {
		t.Errorf("%v, want %v", c.verbs, want)
	}
}

// BenchmarkCreate is what the redemption of a code costs at Valkey, with a replica that has to confirm it.
func BenchmarkCreate(b *testing.B) {
	primary := valkeyserver.Start(b, valkeyserver.Options{})
	valkeyserver.Start(b, valkeyserver.Options{ReplicaOf: primary})
	s := open(b, valkey.Config{Addresses: []string{primary.Address}})
	create(b, s) // a replica that has just come confirms nothing for a moment
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.Create(b.Context(), storetest.NewGrant()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkGet is what reviewing a token costs whose grant is known.
func BenchmarkGet(b *testing.B) {
	_, config := alone(b)
	s := open(b, config)
	g := create(b, s)
	remember(b, s, g.ID)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Get(b.Context(), g.ID); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
