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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
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
	// Holder receives the snapshots.
	Holder *registry.Holder
	// Logger gets one line for what can't be published.
	Logger *slog.Logger
}

// Publisher compiles the cluster into snapshots.
type Publisher struct {
	config Config
	world  *world
	ready  atomic.Bool

	mu    sync.Mutex
	dirty map[dependency]struct{}
	wake  chan struct{}
}

// NewCache makes the cache of a server: the kinds in all namespaces, Secrets and OAuthGrants in the operator's only. What
// it returns is shared and must not be changed.
func NewCache(config *rest.Config, scheme *runtime.Scheme, namespace string) (cache.Cache, error) {
	noCopy := true
	own := map[string]cache.Config{namespace: {}}
	return cache.New(config, cache.Options{
		Scheme:                       scheme,
		DefaultUnsafeDisableDeepCopy: &noCopy,
		DefaultTransform:             cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}:       {Namespaces: own},
			&v1alpha1.OAuthGrant{}: {Namespaces: own},
		},
	})
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

// Ready says whether a first snapshot has been published.
func (p *Publisher) Ready() error {
	if !p.ready.Load() {
		return errors.New("the first snapshot has not been published")
	}
	return nil
}

// Start publishes until the context ends. It returns early only when the cache can't be watched.
func (p *Publisher) Start(ctx context.Context) error {
	registrations, err := p.watch(ctx)
	if err != nil {
		return err
	}
	for _, r := range registrations {
		if !toolscache.WaitForCacheSync(ctx.Done(), r.HasSynced) {
			return ctx.Err()
		}
	}
	p.publish(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
			p.publish(ctx)
		}
	}
}

// publish takes what is dirty, compiles it again, and swaps the snapshot.
func (p *Publisher) publish(ctx context.Context) {
	changed := p.take()
	reader := compile.NewReader(ctx, p.config.Cache, p.config.Namespace)
	next, failures := p.world.update(reader, changed)
	if err := reader.Err(); err != nil {
		p.config.Logger.Error("the cache can't be read; publishing again soon", "error", err)
		p.mark(changed...)
		time.AfterFunc(retryAfter, p.signal)
		return
	}
	for _, f := range failures {
		p.config.Logger.Warn("an issuer's keys can't be used; its last good ones stay in force", "authorizationServer", f.authorizationServer, "error", f.err)
	}
	p.world = next
	p.config.Holder.Store(next.snapshot())
	p.ready.Store(true)
}

func (p *Publisher) take() []dependency {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := make([]dependency, 0, len(p.dirty))
	for d := range p.dirty {
		changed = append(changed, d)
	}
	clear(p.dirty)
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
