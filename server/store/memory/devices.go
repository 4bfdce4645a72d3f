package memory

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

const (
	// maxDevices bounds the memory for device authorizations.
	maxDevices = 100_000
	// sweepEvery is the time between two looks at all there is.
	sweepEvery = time.Minute
)

// Devices implements store.Devices in the memory of one process. What has expired is swept as new ones are created.
type Devices struct {
	now   func() time.Time
	limit int

	mu      sync.Mutex
	byName  map[string]*store.Device
	sweptAt time.Time
}

var _ store.Devices = (*Devices)(nil)

// NewDevices makes an empty Devices that tells the time by now.
func NewDevices(now func() time.Time) *Devices {
	return &Devices{now: now, limit: maxDevices, byName: map[string]*store.Device{}}
}

// Create implements store.Devices. ErrFull when the memory is exhausted.
func (s *Devices) Create(ctx context.Context, d *store.Device) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.now())
	if s.byName[d.Name] != nil {
		return store.ErrExists
	}
	if len(s.byName) >= s.limit {
		return ErrFull
	}
	kept := *d
	kept.Scopes, kept.Targets, kept.Decision = slices.Clone(d.Scopes), cloneTargets(d.Targets), cloneDecision(d.Decision)
	s.byName[d.Name] = &kept
	return nil
}

// Get implements store.Devices.
func (s *Devices) Get(ctx context.Context, name string) (*store.Device, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.byName[name]; d != nil {
		return d, nil
	}
	return nil, store.ErrNotFound
}

// Decide implements store.Devices.
func (s *Devices) Decide(ctx context.Context, name, id string, decision *store.Decision) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byName[name]
	switch {
	case d == nil || d.ID != id:
		return store.ErrNotFound
	case d.Decision != nil && d.Decision.Says(decision):
		return nil
	case d.Decision != nil:
		return store.ErrDecided
	}
	decided := *d
	decided.Decision = cloneDecision(decision)
	s.byName[name] = &decided
	return nil
}

// Pending implements store.Devices.
func (s *Devices) Pending(ctx context.Context, clientUID string, now time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, d := range s.byName {
		if d.ClientUID == clientUID && d.Waiting(now) {
			n++
		}
	}
	return n, nil
}

// Delete removes a device authorization, as an administrator does. ErrNotFound when there is none.
func (s *Devices) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName[name] == nil {
		return store.ErrNotFound
	}
	delete(s.byName, name)
	return nil
}

// sweep forgets what has expired.
func (s *Devices) sweep(now time.Time) {
	if now.Sub(s.sweptAt) < sweepEvery && len(s.byName) < s.limit {
		return
	}
	s.sweptAt = now
	maps.DeleteFunc(s.byName, func(_ string, d *store.Device) bool { return !now.Before(d.ExpiresAt) })
}

func cloneTargets(targets []store.Target) []store.Target {
	cloned := slices.Clone(targets)
	for i := range cloned {
		cloned[i].Scopes = slices.Clone(cloned[i].Scopes)
	}
	return cloned
}

func cloneDecision(d *store.Decision) *store.Decision {
	if d == nil {
		return nil
	}
	c := *d
	c.Scopes, c.Targets = slices.Clone(d.Scopes), cloneTargets(d.Targets)
	return &c
}
