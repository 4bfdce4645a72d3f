package valkey_test

import (
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store"
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

// A code flow is one write, a refresh one, also one that puts the end of the grant off beyond its indexes', and looking costs none.
// Only in a Cluster, where the indexes are at other nodes, are they written by themselves.
func TestWritesAreCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		start func(testing.TB) valkey.Config
		want  map[string]int
	}{
		"alone":   {backends()["alone"], map[string]int{valkey.VerbCreate: 1, valkey.VerbUpdate: 2}},
		"Cluster": {backends()["Cluster"], map[string]int{valkey.VerbCreate: 1, valkey.VerbIndex: 2, valkey.VerbUpdate: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			config := tc.start(t)
			var c tally
			config.OnWrite = c.count
			s := open(t, config)
			g := create(t, s)
			remember(t, s, g.ID)
			for i, until := range []time.Time{g.ExpiresAt, g.ExpiresAt.Add(1000 * time.Hour)} {
				if _, err := s.Rotate(t.Context(), g.ID, int64(i+1), g.RotatedAt, until); err != nil {
					t.Fatal(err)
				}
			}
			found, err := s.Find(t.Context(), store.Query{AuthorizationServer: g.AuthorizationServer, UserUID: g.UserUID})
			if err != nil || len(found) != 1 {
				t.Errorf("the indexes name %v, %v", found, err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if !maps.Equal(c.verbs, tc.want) {
				t.Errorf("%v, want %v", c.verbs, tc.want)
			}
		})
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
			if err := s.Create(b.Context(), storetest.NewGrant(), store.NoLimit); err != nil {
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
