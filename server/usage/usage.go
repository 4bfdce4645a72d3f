// Package usage tells in the status of OAuthClients when each client secret was used last (status.secretUsage), so that a team sees
// whether the one before a rotation is still needed. A request notes a use in memory. In the background each replica writes what it
// knows when status is an hour behind, or has not told of the secret yet: a client costs one write an hour, however busy it is and
// however many replicas there are. Nothing else is ever decided by these times.
//
// The whole list is written each time, by a merge patch that is bound to the version of the object that was looked at. So replicas
// don't undo each other's times, and what somebody else put into the list does not stay, as it would with server-side apply, which
// leaves alone what another manager owns.
package usage

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/server/registry"
)

const (
	// interval is how far behind status may be before it is written again.
	interval = time.Hour
	// delay is how long a use waits at most that status does not tell of at all.
	delay = 15 * time.Second
	// retryAfter is how long a client is left alone whose status could not be written.
	retryAfter = time.Minute
	// writesPerSecond bounds the writes of a replica. Three replicas keep 100,000 clients at two writes an hour.
	writesPerSecond = 20
	// callTimeout bounds one request to kube-apiserver.
	callTimeout = 5 * time.Second
)

// Config is what a Recorder needs.
type Config struct {
	// Client writes, and reads live. Its scheme knows v1alpha1.
	Client client.Client
	// Cache has the OAuthClients of all namespaces; started by the caller.
	Cache cache.Cache
	// Interval is how far behind status may be before it is written again; an hour when zero. A tenth of it at most is added, another for
	// each client and replica.
	Interval time.Duration
	// Delay is how long a use waits at most that status does not tell of at all, as long as the replica is not behind; 15 seconds when zero.
	Delay time.Duration
	// RetryAfter is how long a client is left alone whose status could not be written; a minute when zero.
	RetryAfter time.Duration
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger is told once when status can't be written, and once when it can again.
	Logger *slog.Logger
	// OnWrite, when set, is called after each write with what came of it: one of the constants.
	OnWrite func(result string)
}

// What comes of a write.
const (
	// Written: status has it.
	Written = "written"
	// Conflicted: somebody else was quicker; it is looked at again.
	Conflicted = "conflict"
	// Failed: it is tried again later.
	Failed = "failed"
)

// Recorder notes the uses of client secrets and writes them to status. Used may be called at any time, by any number of goroutines.
type Recorder struct {
	Config
	seed    maphash.Seed
	memory  *memory
	limiter *rate.Limiter
	// failing is the client about which the log was told; only the writing goroutine has to do with it.
	failing target

	mu sync.Mutex
	// pending are clients to look at, each not before a time.
	pending map[target]time.Time
}

// target is an OAuthClient: that one and no other that has its name later.
type target struct {
	key client.ObjectKey
	uid string
}

// New makes a Recorder; Start runs it.
func New(c Config) (*Recorder, error) {
	if c.Client == nil || c.Cache == nil || c.Logger == nil {
		return nil, errors.New("usage: a client, a cache and a logger are needed")
	}
	if c.Interval == 0 {
		c.Interval = interval
	}
	if c.Delay == 0 {
		c.Delay = delay
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = retryAfter
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.OnWrite == nil {
		c.OnWrite = func(string) {}
	}
	seed := maphash.MakeSeed()
	return &Recorder{
		Config: c, seed: seed, memory: newMemory(seed), pending: map[target]time.Time{},
		limiter: rate.NewLimiter(writesPerSecond, writesPerSecond),
	}, nil
}

// Used notes that a client has proven itself with the secret of that id. It takes no time worth mentioning, and allocates nothing but
// for the first use of a secret.
func (r *Recorder) Used(c *registry.Client, secretID string, at time.Time) {
	r.memory.note(c, secretID, at.Unix())
}

// Start writes until the context ends. It returns early only when the cache can't be watched.
func (r *Recorder) Start(ctx context.Context) error {
	if err := r.follow(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // ended while it started
		}
		return err
	}
	const spread = 1 // half of Delay to all of it, so that replicas don't look at the same moments
	wait.JitterUntilWithContext(ctx, r.round, r.Delay/2, spread, true)
	return nil
}

// round looks at every client of which something is to be told, and writes what is due.
func (r *Recorder) round(ctx context.Context) {
	for _, t := range r.candidates() {
		if !r.wanted(ctx, t) {
			continue
		}
		if r.limiter.Wait(ctx) != nil {
			return // the next process finds out what is wrong in status; Flush tells the rest
		}
		// Another replica may have been quicker meanwhile.
		if err := r.write(ctx, r.Cache, t, (*plan).isDue); err != nil && ctx.Err() == nil {
			r.failed(t, err)
			return // the others would fare no better
		}
	}
}

// Flush writes what status does not tell yet, an hour behind or not, until the context ends: then this replica's memory is gone. Call it
// when Start has returned and nobody calls Used any more. What can't be written is logged; the times in status are older than
// they should be then.
func (r *Recorder) Flush(ctx context.Context) {
	left := 0
	for _, t := range r.memory.unwritten() {
		err := ctx.Err()
		if err == nil {
			err = r.write(ctx, r.Client, t, (*plan).isNews)
		}
		if err != nil {
			left++
		}
	}
	if left > 0 {
		r.Logger.Warn("the last use of client secrets could not be written to status before the end", "clients", left)
	}
}

// candidates are the clients to look at now.
func (r *Recorder) candidates() []target {
	now := r.Now()
	due := r.memory.due(now.Unix())
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []target
	for _, t := range due {
		if _, listed := r.pending[t]; !listed {
			out = append(out, t)
		}
	}
	for t, notBefore := range r.pending {
		if !now.Before(notBefore) {
			delete(r.pending, t)
			out = append(out, t)
		}
	}
	return out
}

// mark has a client looked at, not before a time.
func (r *Recorder) mark(t target, notBefore time.Time) {
	r.mu.Lock()
	r.pending[t] = notBefore
	r.mu.Unlock()
}

// failed has the client looked at later, and tells the log once until it has been written.
func (r *Recorder) failed(t target, err error) {
	r.mark(t, r.Now().Add(r.RetryAfter))
	if r.failing == (target{}) {
		r.failing = t
		r.Logger.Warn("the last use of client secrets can't be written to status; it is tried again", "client", t.key.String(), "error", err)
	}
}

// succeeded takes notice that there is nothing wrong with the client, or no client any more.
func (r *Recorder) succeeded(t target) {
	if r.failing == t {
		r.failing = target{}
		r.Logger.Info("the last use of client secrets is written to status again", "client", t.key.String())
	}
}
