// Package throttle limits how often passwords, and the codes of devices, can be guessed. Three limits apply at once, to names of
// users whether they exist or not:
//
//   - a user from one network: 5 failures, then a wait of 1 minute, doubled with every further failure up to 15 minutes; all
//     is forgotten after a day without an attempt, or by signing in. That is at most about 100 guesses a day.
//   - a user from everywhere: 100 failures, then one for every 36 seconds (100 an hour). Networks from which the user has
//     signed in within 30 days are not held to it, so that nobody can lock a user out from elsewhere.
//   - a network, for whichever users: 30 failures, then one for every 20 seconds (180 an hour).
//
// A network is an IPv4 address, or the /64 of an IPv6 address: what one subscriber has. The limits are kept in memory, by
// each replica for itself: n replicas allow up to n times as much, and a restart forgets.
package throttle

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/latchkey-io/latchkey/server/limit"
)

const (
	// capacity bounds each memory. The entry not used for longest makes room: some 30 MB when all are full.
	capacity = 1 << 15
	// familiarFor is how long a network stays known to be a user's own.
	familiarFor = 30 * 24 * time.Hour
)

// Attempt is one attempt to sign in, or to enter a code.
type Attempt struct {
	// Issuer is the issuer identifier.
	Issuer string
	// User is whom the attempt counts for: of passwords the username as it was sent, known or not; of codes, which are nobody's yet, who
	// enters them.
	User string
	// Source is the address it came from.
	Source netip.Addr
}

// Limiter limits failed attempts. It is safe for concurrent use.
type Limiter struct {
	now func() time.Time

	mu       sync.Mutex
	pairs    *simplelru.LRU[key, backoff]
	users    *simplelru.LRU[key, time.Time] // state of userLimit
	sources  *simplelru.LRU[key, time.Time] // state of sourceLimit
	familiar *simplelru.LRU[key, time.Time] // when the user last signed in from there
}

// New returns a Limiter that takes the time from now.
func New(now func() time.Time) *Limiter { return newLimiter(now, capacity) }

func newLimiter(now func() time.Time, size int) *Limiter {
	return &Limiter{
		now:      now,
		pairs:    memory[backoff](size),
		users:    memory[time.Time](size),
		sources:  memory[time.Time](size),
		familiar: memory[time.Time](size),
	}
}

func memory[V any](size int) *simplelru.LRU[key, V] {
	m, err := simplelru.NewLRU[key, V](size, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return m
}

// Allow charges for an attempt as if it were to fail (so that a hundred at once count as a hundred), or refuses it and
// says when to come back. An attempt that was allowed and does not fail is followed by Success or Release.
func (l *Limiter) Allow(a Attempt) (retryAfter time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, k := l.now(), keysOf(a)
	pair, _ := l.pairs.Get(k.pair)
	user, _ := l.users.Get(k.user)
	source, _ := l.sources.Get(k.source)
	wait := max(pair.wait(now), sourceLimit().wait(source, now))
	if !l.isFamiliar(k, now) {
		wait = max(wait, userLimit().wait(user, now))
	}
	if wait > 0 {
		return wait, false
	}
	l.pairs.Add(k.pair, pair.charge(now))
	l.users.Add(k.user, userLimit().charge(user, now))
	l.sources.Add(k.source, sourceLimit().charge(source, now))
	return 0, true
}

// Success takes the charge back, forgives the user's failures from that network, and remembers it as the user's own.
func (l *Limiter) Success(a Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := keysOf(a)
	l.refund(k)
	l.pairs.Remove(k.pair)
	l.familiar.Add(k.pair, l.now())
}

// Release takes the charge back for an attempt that could not be judged.
func (l *Limiter) Release(a Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := keysOf(a)
	l.refund(k)
	if pair, ok := l.pairs.Get(k.pair); ok {
		l.pairs.Add(k.pair, pair.refund())
	}
}

func (l *Limiter) refund(k keys) {
	if state, ok := l.users.Get(k.user); ok {
		l.users.Add(k.user, userLimit().refund(state))
	}
	if state, ok := l.sources.Get(k.source); ok {
		l.sources.Add(k.source, sourceLimit().refund(state))
	}
}

func (l *Limiter) isFamiliar(k keys, now time.Time) bool {
	last, ok := l.familiar.Get(k.pair)
	return ok && now.Sub(last) < familiarFor
}

// key stands for what is limited, in a size that whoever sends a name can't choose.
type key [16]byte

type keys struct{ user, source, pair key }

func keysOf(a Attempt) keys {
	from := limit.Network(a.Source).String()
	return keys{user: digest(a.Issuer, a.User), source: digest(from), pair: digest(a.Issuer, a.User, from)}
}

func digest(parts ...string) key {
	var joined []byte
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p)) // of one length, so that no two lists join to the same
		joined = append(joined, sum[:]...)
	}
	sum := sha256.Sum256(joined)
	return key(sum[:16])
}
