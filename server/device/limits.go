package device

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/server/limit"
)

// errQuota: the client may have no more requests waiting.
var errQuota = errors.New("device: too many requests wait")

// quota holds what a client may have waiting, those that are just being written included. The zero quota is ready.
type quota struct {
	mu      sync.Mutex
	writing map[string]int // by client UID
}

// acquire takes one of the places that are left, pending saying how many are taken. errQuota when there is none. Other
// replicas have the same places to give away, and learn a moment later that they have: n of them may give a few more.
func (q *quota) acquire(client string, pending func() (int, error)) (release func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, err := pending()
	switch {
	case err != nil:
		return nil, err
	case n+q.writing[client] >= maxPending:
		return nil, errQuota
	}
	if q.writing == nil {
		q.writing = map[string]int{}
	}
	q.writing[client]++
	return func() { q.release(client) }, nil
}

func (q *quota) release(client string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writing[client]--; q.writing[client] == 0 {
		delete(q.writing, client)
	}
}

const (
	// sourceBurst requests of one client may come from a network at once, and then one for each sourceInterval.
	sourceBurst    = 30
	sourceInterval = 20 * time.Second
	// maxSources bounds the memory. The network that was not heard of for longest makes room.
	maxSources = 1 << 14
)

// sources limits how often public clients are spoken for from one network. It is kept by each replica for itself.
type sources struct {
	mu     sync.Mutex
	limits *simplelru.LRU[source, *rate.Limiter]
}

// source is a network that speaks for a client: an IPv4 address, or the /64 of an IPv6 address.
type source struct {
	client  string
	network netip.Prefix
}

func newSources() *sources {
	limits, err := simplelru.NewLRU[source, *rate.Limiter](maxSources, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &sources{limits: limits}
}

// allow counts a request, or refuses it and says when to come back.
func (s *sources) allow(client string, from netip.Addr, now time.Time) (retryAfter time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := source{client, limit.Network(from)}
	bucket, known := s.limits.Get(k)
	if !known {
		bucket = rate.NewLimiter(rate.Every(sourceInterval), sourceBurst)
		s.limits.Add(k, bucket)
	}
	r := bucket.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, false
	}
	return 0, true
}
