package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/server/pages"
	"github.com/latchkey-io/latchkey/server/store"
)

// kind is how values of type V are kept as objects of type O.
type kind[V any, O client.Object] struct {
	// noun is what errors call a value.
	noun string
	// resource is what the API server calls the kind.
	resource string
	empty    func() O
	list     func() client.ObjectList
	// encode makes an object that shares nothing with the value.
	encode func(namespace string, value *V) O
	decode func(O) *entry[V]
	// same says whether what is stored is what one attempt was to create, and not another's.
	same func(stored, value *V) bool
	// lasting says whether what memory has of a value is still so, but for the milliseconds that a watch is behind.
	lasting func(value *V, now time.Time) bool
}

// objects are those of a kind in the operator's namespace: read from memory where the watch has told of them, else live.
type objects[V any, O client.Object] struct {
	kind      kind[V, O]
	client    client.WithWatch
	pages     *pages.Client
	namespace string
	logger    *slog.Logger
	onWrite   func(verb string)
	index     *index[V, O]
	turns     *turns
}

func newObjects[V any, O client.Object](c Config, k kind[V, O], place placeFunc[V]) (*objects[V, O], error) {
	if c.Client == nil || c.Pages == nil || c.Namespace == "" {
		return nil, errors.New("store/kubernetes: clients and a namespace are needed")
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
	return &objects[V, O]{
		kind: k, client: c.Client, pages: c.Pages, namespace: c.Namespace, logger: c.Logger, onWrite: c.OnWrite,
		index: newIndex(c.Now, k.decode, place), turns: newTurns(),
	}, nil
}

// Start follows the objects until the context is done. It is a controller-runtime Runnable.
func (s *objects[V, O]) Start(ctx context.Context) error {
	logger := logr.FromSlogHandler(s.logger.Handler())
	reflector := cache.NewReflectorWithOptions(s.listerWatcher(), s.kind.empty(), s.index, cache.ReflectorOptions{
		Name:   s.kind.noun,
		Logger: &logger,
		// Sooner than the default of up to a minute: while the watch is broken, deletions are not seen.
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 5, Cap: 5 * time.Second},
	})
	reflector.RunWithContext(ctx)
	return nil
}

// NeedLeaderElection says that every replica follows the objects.
func (s *objects[V, O]) NeedLeaderElection() bool { return false }

// Synced says whether all objects have been read once. Before that every Get is a request to the API server.
func (s *objects[V, O]) Synced() bool { return s.index.synced.Load() }

// Current says whether the watch was alive within the last five minutes. While it is not, every Get is a request to the
// API server.
func (s *objects[V, O]) Current() bool { return s.index.current() }

func (s *objects[V, O]) listerWatcher() cache.ListerWatcher {
	return pages.ListerWatcher(s.list, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		w, err := s.client.Watch(ctx, s.kind.list(), &client.ListOptions{Namespace: s.namespace, Raw: &o})
		if err == nil {
			s.index.touch()
		}
		return w, err
	})
}

// list reads all objects there are, without what nobody reads of them.
func (s *objects[V, O]) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	return s.pages.List(ctx, s.kind.resource, s.namespace, o, func(read func(any) error) (runtime.Object, error) {
		object := s.kind.empty()
		return object, read(object)
	}, pages.Skip[[]metav1.ManagedFieldsEntry]())
}

// get returns the value of the name, or store.ErrNotFound.
func (s *objects[V, O]) get(ctx context.Context, name string) (*V, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if known := s.known(name); known != nil {
		return known, nil
	}
	if s.index.get(name) == nil && s.absent(name) {
		return nil, store.ErrNotFound
	}
	end, err := s.turns.take(ctx)
	if err != nil {
		return nil, s.failed("read", err)
	}
	defer end()
	e, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	return e.value, nil
}

// known returns the value of the name as it is in memory; nil where it isn't, or what the watch told may be too old.
func (s *objects[V, O]) known(name string) *V {
	if e := s.index.get(name); e != nil && s.index.current() && s.kind.lasting(e.value, s.index.now()) {
		return e.value
	}
	return nil
}

// absent says whether a name that is not in memory need not be asked for.
func (s *objects[V, O]) absent(name string) bool { return !validID(name) || s.index.buried(name) }

// read asks the API server. What it answers is not kept: the watch brings it, and only the watch takes it away again.
func (s *objects[V, O]) read(ctx context.Context, name string) (*entry[V], error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := s.kind.empty()
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, object)
	switch {
	case err == nil:
		return s.kind.decode(object), nil
	case isAbsent(err):
		return nil, store.ErrNotFound
	}
	return nil, s.failed("read", err)
}

func (s *objects[V, O]) failed(verb string, err error) error {
	return fmt.Errorf("store/kubernetes: %s a %s: %w", verb, s.kind.noun, err)
}

// isAbsent says whether there is no such object. A 404 that does not come from the resource itself, as while the kind is not
// served yet, says nothing about it.
func isAbsent(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
