// Package publish keeps the registry in step with the cluster: it maps the events of a cache to one queue, compiles again
// only what an event can have changed, and swaps in a new snapshot. It runs in every replica and writes nothing.
package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/registry"
)

// retryAfter is how long the publisher waits after a cache could not be read.
const retryAfter = time.Second

// Config is what a Publisher needs.
type Config struct {
	// Cache as NewCache makes it; started by the caller.
	Cache cache.Cache
	// Namespace is the operator's.
	Namespace string
	// Watchdog that NewCache was given.
	Watchdog *Watchdog
	// Holder receives the snapshots; nil while the cache is stale.
	Holder *registry.Holder
	// Now is the clock.
	Now func() time.Time
	// Logger gets one line for what can't be published.
	Logger *slog.Logger
}

// Publisher compiles the cluster into snapshots.
type Publisher struct {
	config Config
	world  *world
	// current is the snapshot of world, nil when it has to be made.
	current *registry.Snapshot
	ready   atomic.Bool

	mu    sync.Mutex
	dirty map[dependency]struct{}
	wake  chan struct{}
}

// New makes a Publisher; Start runs it.
func New(ctx context.Context, config Config) (*Publisher, error) {
	if err := compile.SetupIndexes(ctx, config.Cache); err != nil {
		return nil, err
	}
	return &Publisher{
		config: config,
		world:  newWorld(),
		dirty:  map[dependency]struct{}{},
		wake:   make(chan struct{}, 1),
	}, nil
}

// Ready says whether there is a snapshot, and it is not stale.
func (p *Publisher) Ready() error {
	if !p.ready.Load() {
		return errors.New("there is no snapshot yet, or kube-apiserver has been away for so long that it is stale")
	}
	return nil
}

// Start publishes until the context ends. It returns early only when the cache can't be watched.
func (p *Publisher) Start(ctx context.Context) error {
	told, err := p.watch(ctx)
	if err != nil {
		return err
	}
	if !toolscache.WaitFor(ctx, "", told...) {
		return ctx.Err()
	}
	p.publish(ctx)
	judge := time.NewTicker(judgeEvery)
	defer judge.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
			p.publish(ctx)
		case <-judge.C:
			p.serve(p.config.Now())
		}
	}
}

// publish takes what is dirty, compiles it again, and swaps the snapshot.
func (p *Publisher) publish(ctx context.Context) {
	changed := p.take()
	reader := compile.NewReader(ctx, p.config.Cache, p.config.Namespace)
	failures := p.world.update(reader, changed)
	if err := reader.Err(); err != nil {
		p.config.Logger.Error("the cache can't be read; publishing again soon", "error", err)
		p.mark(changed...)
		time.AfterFunc(retryAfter, p.signal)
		return
	}
	for _, f := range failures {
		p.config.Logger.Warn("an issuer's keys can't be used; its last good ones stay in force", "authorizationServer", f.authorizationServer, "error", f.err)
	}
	p.current = nil
	p.serve(p.config.Now())
}

// serve hands out the world as it is known, or nothing at all once it has been unknown for too long.
func (p *Publisher) serve(now time.Time) {
	stale := p.config.Watchdog.Stale(now)
	switch {
	case stale && p.ready.Load():
		p.config.Logger.Error("kube-apiserver has been away for too long: what is known of the cluster is no longer served", "after", maxStale)
		p.config.Holder.Store(nil)
	case !stale && (p.current == nil || !p.ready.Load()):
		p.current = p.world.snapshot()
		p.config.Holder.Store(p.current)
	}
	p.ready.Store(!stale)
}

func (p *Publisher) take() []dependency {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := make([]dependency, 0, len(p.dirty))
	for d := range p.dirty {
		changed = append(changed, d)
	}
	p.dirty = map[dependency]struct{}{} // the room that all clients took at the start is not kept
	return changed
}

// mark notes that something changed.
func (p *Publisher) mark(changed ...dependency) {
	p.mu.Lock()
	for _, d := range changed {
		p.dirty[d] = struct{}{}
	}
	p.mu.Unlock()
}

func (p *Publisher) signal() {
	select {
	case p.wake <- struct{}{}:
	default: // a wake-up is pending and will see this change too
	}
}
