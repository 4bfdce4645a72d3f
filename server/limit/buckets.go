package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	// shards of the memory, so that requests don't wait for each other.
	shards = 64
	// maxKeys bounds the memory of Buckets, some 10 MB when it is full. The key that was not heard of for longest makes room: it has
	// most of its burst again, or its network takes part in a flood from very many.
	maxKeys = 1 << 16
)

// Rate is how often something may happen: Burst times at once, and PerSecond times from then on.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Key is what is limited: a client, a network, or a client from a network.
type Key struct {
	// Client is a client's UID; empty for all that come from the network.
	Client string
	// Network is where it comes from; zero for everywhere.
	Network netip.Prefix
}

// Buckets limit each key to a Rate. They are safe for concurrent use; nil Buckets limit nothing.
type Buckets struct {
	rate   Rate
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu   sync.Mutex
	kept *simplelru.LRU[Key, *rate.Limiter]
}

// NewBuckets makes Buckets; nil for a Rate that is no limit.
func NewBuckets(r Rate) *Buckets { return newBuckets(r, maxKeys) }

func newBuckets(r Rate, size int) *Buckets {
	if r.PerSecond <= 0 {
		return nil
	}
	b := &Buckets{rate: r, seed: maphash.MakeSeed()}
	for i := range b.shards {
		kept, err := simplelru.NewLRU[Key, *rate.Limiter](max(size/shards, 1), nil)
		if err != nil {
			panic(err) // only for a size that is not positive
		}
		b.shards[i].kept = kept
	}
	return b
}

// Take counts one for the key, or refuses it and says when to come back. What is refused is not counted.
func (b *Buckets) Take(k Key, now time.Time) (retryAfter time.Duration, ok bool) {
	if b == nil {
		return 0, true
	}
	s := &b.shards[maphash.Comparable(b.seed, k)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, known := s.kept.Get(k)
	if !known {
		bucket = rate.NewLimiter(rate.Limit(b.rate.PerSecond), max(b.rate.Burst, 1))
		s.kept.Add(k, bucket)
	}
	if bucket.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - bucket.TokensAt(now)
	return max(time.Duration(missing/b.rate.PerSecond*float64(time.Second)), time.Millisecond), false
}

func (b *Buckets) len() (n int) {
	for i := range b.shards {
		n += b.shards[i].kept.Len()
	}
	return n
}
