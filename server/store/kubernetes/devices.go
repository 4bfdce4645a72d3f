package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

// decideAttempts is how often a decision is tried when somebody else changes the object, or the outcome is not known.
const decideAttempts = 4

// Devices implements store.Devices with OAuthDeviceAuthorization objects in the operator's namespace. It answers before Start
// and before it is synced too, then by live reads.
type Devices struct {
	client    client.WithWatch
	namespace string
	logger    *slog.Logger
	onWrite   func(verb string)
	index     *deviceIndex
}

var _ store.Devices = (*Devices)(nil)

// NewDevices makes a Devices. Start must run for it to read from memory.
func NewDevices(c Config) (*Devices, error) {
	s, err := New(c) // for what the two have in common
	if err != nil {
		return nil, err
	}
	return &Devices{client: s.client, namespace: s.namespace, logger: s.logger, onWrite: s.onWrite, index: newDeviceIndex(s.index.now)}, nil
}

// Start follows the device authorizations until the context is done. It is a controller-runtime Runnable.
func (s *Devices) Start(ctx context.Context) error {
	logger := logr.FromSlogHandler(s.logger.Handler())
	reflector := cache.NewReflectorWithOptions(s.listerWatcher(), &v1alpha1.OAuthDeviceAuthorization{}, s.index, cache.ReflectorOptions{
		Name:    "oauthdeviceauthorizations",
		Logger:  &logger,
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 5, Cap: 5 * time.Second},
	})
	reflector.RunWithContext(ctx)
	return nil
}

// NeedLeaderElection says that every replica follows them.
func (s *Devices) NeedLeaderElection() bool { return false }

// Synced says whether all device authorizations have been read once. Before that every Get is a request to the API server.
func (s *Devices) Synced() bool { return s.index.synced.Load() }

func (s *Devices) listerWatcher() cache.ListerWatcher {
	options := func(o metav1.ListOptions) *client.ListOptions {
		return &client.ListOptions{Namespace: s.namespace, Raw: &o, Limit: o.Limit, Continue: o.Continue}
	}
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list := &v1alpha1.OAuthDeviceAuthorizationList{}
			return list, s.client.List(ctx, list, options(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := s.client.Watch(ctx, &v1alpha1.OAuthDeviceAuthorizationList{}, options(o))
			if err == nil {
				s.index.touch()
			}
			return w, err
		},
	}, s.client)
}

// Create implements store.Devices. It costs one request to the API server.
func (s *Devices) Create(ctx context.Context, d *store.Device) error {
	if !validID(d.Name) || !validID(d.ID) {
		return errors.New("store/kubernetes: a device authorization needs a well-formed name and id")
	}
	if s.index.get(d.Name) != nil {
		return store.ErrExists
	}
	var err error
	for range writeAttempts {
		var settled bool
		if settled, err = s.tryCreate(ctx, d); settled {
			return err
		}
	}
	return err
}

// tryCreate writes once. When the outcome is not known, or the object is there already (it may be our own: client-go repeats some
// requests by itself), a live read decides: nobody else has made the id. Not settled means: to be tried again.
func (s *Devices) tryCreate(ctx context.Context, d *store.Device) (settled bool, err error) {
	object, err := s.post(ctx, d)
	switch {
	case err == nil:
		s.index.put(newDeviceEntry(object))
		return true, nil
	case ctx.Err() != nil:
		return true, fmt.Errorf("store/kubernetes: create a device authorization: %w", context.Cause(ctx))
	case isRefused(err) && !apierrors.IsAlreadyExists(err):
		return true, fmt.Errorf("store/kubernetes: create a device authorization: %w", err)
	}
	stored, readErr := s.read(ctx, d.Name)
	switch {
	case readErr == nil && stored.device.ID == d.ID:
		s.index.put(stored)
		return true, nil
	case readErr == nil:
		return true, store.ErrExists
	case !errors.Is(readErr, store.ErrNotFound):
		return true, fmt.Errorf("store/kubernetes: create a device authorization: the outcome is not known: %w", errors.Join(err, readErr))
	}
	return false, fmt.Errorf("store/kubernetes: create a device authorization: %w", err)
}

func (s *Devices) post(ctx context.Context, d *store.Device) (*v1alpha1.OAuthDeviceAuthorization, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := newDeviceObject(s.namespace, d)
	s.onWrite(VerbCreate)
	return object, s.client.Create(ctx, object, fieldOwner)
}

// Get implements store.Devices.
func (s *Devices) Get(ctx context.Context, name string) (*store.Device, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e := s.index.get(name)
	switch {
	case e != nil && s.index.current():
		return e.device, nil
	case !validID(name), e == nil && s.index.buried(name):
		return nil, store.ErrNotFound
	}
	e, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	return e.device, nil
}

// read asks the API server. What it answers is not kept: the watch brings it, and only the watch takes it away again.
func (s *Devices) read(ctx context.Context, name string) (*deviceEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := &v1alpha1.OAuthDeviceAuthorization{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, object)
	switch {
	case err == nil:
		return newDeviceEntry(object), nil
	case isAbsent(err):
		return nil, store.ErrNotFound
	}
	return nil, fmt.Errorf("store/kubernetes: read a device authorization: %w", err)
}

// Decide implements store.Devices. The write is bound to the version in which the authorization was seen waiting: the API
// server lets one of any number of replicas through.
func (s *Devices) Decide(ctx context.Context, name, id string, decision *store.Decision) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !validID(name) {
		return store.ErrNotFound
	}
	e := s.index.get(name)
	var failure error
	for range decideAttempts {
		if e == nil {
			var err error
			if e, err = s.read(ctx, name); err != nil {
				return err
			}
		}
		switch {
		case e.device.ID != id:
			return store.ErrNotFound
		case e.device.Decision != nil && e.device.Decision.Says(decision):
			return nil
		case e.device.Decision != nil:
			return store.ErrDecided
		}
		object, err := s.patchDecided(ctx, e, decision)
		switch {
		case err == nil:
			s.index.put(newDeviceEntry(object))
			return nil
		case isAbsent(err):
			return store.ErrNotFound
		}
		failure = fmt.Errorf("store/kubernetes: decide about a device authorization: %w", err)
		if ctx.Err() != nil || isRefused(err) && !apierrors.IsConflict(err) {
			return failure
		}
		e = nil
	}
	return failure
}

func (s *Devices) patchDecided(ctx context.Context, e *deviceEntry, decision *store.Decision) (*v1alpha1.OAuthDeviceAuthorization, error) {
	var patch struct {
		Metadata struct {
			UID             types.UID `json:"uid"`
			ResourceVersion string    `json:"resourceVersion"`
		} `json:"metadata"`
		Status v1alpha1.OAuthDeviceAuthorizationStatus `json:"status"`
	}
	patch.Metadata.UID, patch.Metadata.ResourceVersion, patch.Status = e.uid, e.version, newDeviceStatus(decision)
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := &v1alpha1.OAuthDeviceAuthorization{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: e.device.Name}}
	s.onWrite(VerbPatch)
	return object, s.client.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, body), fieldOwner)
}

// Pending implements store.Devices, from memory alone. While the watch is not alive it is an error.
func (s *Devices) Pending(ctx context.Context, clientUID string, now time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !s.index.current() {
		return 0, errors.New("store/kubernetes: the watch of the device authorizations is not alive")
	}
	return s.index.pending(clientUID, now), nil
}
