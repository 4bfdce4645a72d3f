package password

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// ErrTooBusy says that so many passwords are waiting to be verified that this one isn't: HTTP 503, and try again.
var ErrTooBusy = errors.New("password: too many verifications are waiting")

const (
	// budget is the memory in KiB that all verifications at one time may take: that of the dearest hash there may be.
	budget = maxMemory
	// queue is how many may wait for each that is running.
	queue = 32
	// maxDecoys is how many costs are remembered; a site has one or two.
	maxDecoys = 16
)

// Verifier verifies passwords, as many at a time as there are processors and as their memory allows. It is safe for
// concurrent use.
type Verifier struct {
	slots   *semaphore.Weighted // KiB
	least   int64               // KiB that a verification takes at least, so that no more run than processors
	waiting atomic.Int64
	limit   int64 // of those that wait or run
	decoys  decoys
}

// NewVerifier returns a Verifier sized for this machine: up to 256 MiB, and as many verifications as processors.
func NewVerifier() *Verifier { return newVerifier(runtime.GOMAXPROCS(0)) }

func newVerifier(processors int) *Verifier {
	return &Verifier{
		slots:  semaphore.NewWeighted(budget),
		least:  max(1, budget/int64(processors)),
		limit:  int64(processors) * (queue + 1),
		decoys: decoys{seed: maphash.MakeSeed(), known: map[cost]bool{}},
	}
}

// Verify says whether the password is the one that hash was made of. For a user who is unknown or has no password, hash is
// empty: the answer is no, after the work that a known user's password would have cost. username chooses which
// work that is, and is looked at for nothing else. A password longer than MaxLength is nobody's. Errors: ErrTooBusy, the
// context's, or an *UnusableHashError, which comes after the work too.
func (v *Verifier) Verify(ctx context.Context, username, hash, password string) (bool, error) {
	if len(password) > MaxLength {
		return false, nil
	}
	c, reason := costOf(hash)
	if reason == nil {
		v.decoys.learn(decoy{c, hash})
		return v.run(ctx, c, hash, password)
	}
	d := v.decoys.choose(username)
	if _, err := v.run(ctx, d.cost, d.hash, password); err != nil {
		return false, err
	}
	if hash == "" {
		return false, nil
	}
	return false, reason
}

// run waits for its turn, in the order of arrival, and does the work.
func (v *Verifier) run(ctx context.Context, c cost, hash, password string) (bool, error) {
	defer v.waiting.Add(-1)
	if v.waiting.Add(1) > v.limit {
		return false, ErrTooBusy
	}
	weight := max(v.least, int64(c.memory))
	if err := v.slots.Acquire(ctx, weight); err != nil {
		return false, err
	}
	defer v.slots.Release(weight)
	return c.compare(hash, password)
}

// decoys are what the passwords of unknown users are compared with, and the answer thrown away: one hash of every cost
// that known users' hashes were seen to have. An unknown name always meets the same one, as a known name does.
type decoys struct {
	seed maphash.Seed

	mu    sync.RWMutex
	known map[cost]bool
	list  []decoy
}

type decoy struct {
	cost cost
	hash string
}

// firstDecoy stands in until a known user's hash is seen: one of the cost that Hash gives, made of no password.
func firstDecoy() decoy {
	c := cost{memory: hashMemory, time: hashTime, parallelism: hashParallelism}
	salt, key := strings.Repeat("A", 22), strings.Repeat("A", 43)
	return decoy{c, fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", c.memory, c.time, c.parallelism, salt, key)}
}

// learn keeps a known user's hash if it is the first of its cost.
func (d *decoys) learn(of decoy) {
	if d.complete(of.cost) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.known[of.cost] && len(d.list) < maxDecoys {
		d.known[of.cost] = true
		d.list = append(d.list, of)
	}
}

func (d *decoys) complete(c cost) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.known[c] || len(d.list) == maxDecoys
}

// choose returns the hash for an unknown name.
func (d *decoys) choose(username string) decoy {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.list) == 0 {
		return firstDecoy()
	}
	return d.list[maphash.String(d.seed, username)%uint64(len(d.list))]
}
