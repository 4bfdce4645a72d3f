// Package kubernetes keeps grants as OAuthGrant objects in the operator's namespace. Creating the object is the gate that
// makes an authorization code single-use: of any number of replicas, the API server lets one create it. Reading is from
// memory, fed by a watch; what is not there is read live before it is called absent, and what could not be read is an error.
//
// What the API server can't decide alone, each replica remembers: an id that it saw deleted can't be created again for as
// long as a code lives, plus clock skew. What remains open is written down here: a replica that started, or whose watch
// broke for so long that it had to list again, within that time has not seen the deletion; and neither has one that is asked in
// the milliseconds before the watch tells it.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

const (
	// remembered is how long an id that was deleted can't be created again: the longest life of an authorization code, 60 s,
	// and the skew that clocks may have.
	remembered = 150 * time.Second
	// maxRemembered bounds the memory for them.
	maxRemembered = 1 << 17
	// maxSilence is how long a watch may say nothing, not even a bookmark (the API server sends one a minute), until what it
	// said is no longer taken for the truth.
	maxSilence = 5 * time.Minute
	// callTimeout bounds one request to the API server, so that one that hangs leaves time to find out what came of it.
	callTimeout = 5 * time.Second
	// fieldOwner owns what the store writes.
	fieldOwner = client.FieldOwner("latchkey-server")
)

// The verbs OnWrite is told.
const (
	VerbCreate = "create"
	VerbPatch  = "patch"
)

// Config is what a Store needs.
type Config struct {
	// Client reads and writes live: it must not read from a cache. Its scheme knows v1alpha1, and its rest.Config has neither a
	// Timeout, which would cut the watch, nor the default rate limit of 5 requests a second.
	Client client.WithWatch
	// Namespace is the operator's. Grants in any other are nobody's: tenants may write there.
	Namespace string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger takes what goes wrong with the watch; slog.Default() when nil.
	Logger *slog.Logger
	// OnWrite, when set, is called before each write to the API server, with VerbCreate or VerbPatch.
	OnWrite func(verb string)
}

// Store implements store.Grants. It answers before Start and before it is synced too, then by live reads.
type Store struct {
	client    client.WithWatch
	namespace string
	logger    *slog.Logger
	onWrite   func(verb string)
	index     *index
	claims    claims
}

var _ store.Grants = (*Store)(nil)

// New makes a Store. Start must run for it to read from memory and to learn of deletions.
func New(c Config) (*Store, error) {
	if c.Client == nil || c.Namespace == "" {
		return nil, errors.New("store/kubernetes: a client and a namespace are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.OnWrite == nil {
		c.OnWrite = func(string) {}
	}
	return &Store{client: c.Client, namespace: c.Namespace, logger: c.Logger, onWrite: c.OnWrite, index: newIndex(c.Now)}, nil
}

// Start follows the grants until the context is done. It is a controller-runtime Runnable.
func (s *Store) Start(ctx context.Context) error {
	logger := logr.FromSlogHandler(s.logger.Handler())
	reflector := cache.NewReflectorWithOptions(s.listerWatcher(), &v1alpha1.OAuthGrant{}, s.index, cache.ReflectorOptions{
		Name:   "oauthgrants",
		Logger: &logger,
		// Sooner than the default of up to a minute: while the watch is broken, deletions are not seen.
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 5, Cap: 5 * time.Second},
	})
	reflector.RunWithContext(ctx)
	return nil
}

// NeedLeaderElection says that every replica follows the grants.
func (s *Store) NeedLeaderElection() bool { return false }

// Synced says whether all grants have been read once. Before that every Get is a request to the API server.
func (s *Store) Synced() bool { return s.index.synced.Load() }

// Current says whether the watch was alive within the last five minutes. While it is not, every Get is a request to the
// API server.
func (s *Store) Current() bool { return s.index.current() }

func (s *Store) listerWatcher() cache.ListerWatcher {
	options := func(o metav1.ListOptions) *client.ListOptions {
		return &client.ListOptions{Namespace: s.namespace, Raw: &o, Limit: o.Limit, Continue: o.Continue}
	}
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list := &v1alpha1.OAuthGrantList{}
			return list, s.client.List(ctx, list, options(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := s.client.Watch(ctx, &v1alpha1.OAuthGrantList{}, options(o))
			if err == nil {
				s.index.touch()
			}
			return w, err
		},
	}, s.client)
}

// Get implements store.Grants. A grant that is over, as far as memory knows, is read live: another replica may have refreshed it.
func (s *Store) Get(ctx context.Context, id string) (*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e := s.index.get(id)
	switch {
	case e != nil && s.settled(e):
		return e.grant, nil
	case !validID(id), e == nil && s.index.buried(id):
		return nil, store.ErrNotFound
	}
	e, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.grant, nil
}

// settled says whether what is in memory of a grant is the truth, but for the milliseconds that a watch is behind.
func (s *Store) settled(e *entry) bool {
	over := !s.index.now().Before(e.grant.ExpiresAt)
	return s.index.current() && (!over || !e.grant.RevokedAt.IsZero())
}

// errNotCurrent is returned by Find while the watch is not alive. All grants are never read for one request: an API server that
// can be read would have brought the watch back.
var errNotCurrent = errors.New("store/kubernetes: what the watch told of the grants is too old to find any by it")

// Find implements store.Grants. It reads from memory alone.
func (s *Store) Find(ctx context.Context, q store.Query) ([]*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.index.current() {
		return nil, errNotCurrent
	}
	return s.index.lookup.Find(q)
}

// read asks the API server. What it answers is not kept: the watch brings it, and only the watch takes it away again.
func (s *Store) read(ctx context.Context, id string) (*entry, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := &v1alpha1.OAuthGrant{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: id}, object)
	switch {
	case err == nil:
		return newEntry(object), nil
	case isAbsent(err):
		return nil, store.ErrNotFound
	}
	return nil, fmt.Errorf("store/kubernetes: read a grant: %w", err)
}
