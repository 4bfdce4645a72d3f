package kubernetes

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

// Devices implements store.Devices. It answers before Start and before it is synced too, then by live reads.
type Devices struct {
	*objects[store.Device, *v1alpha1.OAuthDeviceAuthorization]
}

var _ store.Devices = (*Devices)(nil)

// NewDevices makes a Devices. Start must run for it to read from memory.
func NewDevices(c Config) (*Devices, error) {
	objects, err := newObjects(c, kind[store.Device, *v1alpha1.OAuthDeviceAuthorization]{
		noun:     "device authorization",
		resource: "oauthdeviceauthorizations",
		empty:    func() *v1alpha1.OAuthDeviceAuthorization { return &v1alpha1.OAuthDeviceAuthorization{} },
		list:     func() client.ObjectList { return &v1alpha1.OAuthDeviceAuthorizationList{} },
		encode:   newDeviceObject,
		decode:   newDeviceEntry,
		same:     func(stored, d *store.Device) bool { return stored.ID == d.ID },
		lasting:  func(*store.Device, time.Time) bool { return true },
	}, nil)
	return &Devices{objects}, err
}

// Create implements store.Devices. It costs one request to the API server.
func (s *Devices) Create(ctx context.Context, d *store.Device) error {
	if !validID(d.Name) || !validID(d.ID) {
		return errors.New("store/kubernetes: a device authorization needs a well-formed name and id")
	}
	return s.create(ctx, d.Name, d)
}

// Get implements store.Devices.
func (s *Devices) Get(ctx context.Context, name string) (*store.Device, error) {
	return s.get(ctx, name)
}

// Decide implements store.Devices.
func (s *Devices) Decide(ctx context.Context, name, id string, decision *store.Decision) error {
	_, err := s.update(ctx, name, func(d *store.Device) (any, error) {
		switch {
		case d.ID != id:
			return nil, store.ErrNotFound
		case d.Decision == nil:
			return newDeviceStatus(decision), nil
		case d.Decision.Says(decision):
			return nil, nil
		}
		return nil, store.ErrDecided
	})
	return err
}

// Pending implements store.Devices, from memory alone. While the watch is not alive it is an error.
func (s *Devices) Pending(ctx context.Context, clientUID string, now time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !s.Current() {
		return 0, errors.New("store/kubernetes: the watch of the device authorizations is not alive")
	}
	n := 0
	for d := range s.index.all {
		if d.ClientUID == clientUID && d.Waiting(now) {
			n++
		}
	}
	return n, nil
}
