package storage

import (
	"context"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// Grants are those of all issuers.
func (p *Places) Grants() store.Grants { return grants{p} }

// Devices are the requests of devices at all issuers.
func (p *Places) Devices() store.Devices { return devices{p} }

type grants struct{ places *Places }

func (g grants) of(ctx context.Context) (store.Grants, error) {
	at, err := g.places.of(ctx)
	if at == nil || err != nil {
		return g.places.config.Grants, err
	}
	return at, nil
}

// Create implements store.Grants.
func (g grants) Create(ctx context.Context, grant *store.Grant, limit int) error {
	at, err := g.of(ctx)
	if err != nil {
		return err
	}
	return at.Create(ctx, grant, limit)
}

// Get implements store.Grants.
func (g grants) Get(ctx context.Context, id string) (*store.Grant, error) {
	at, err := g.of(ctx)
	if err != nil {
		return nil, err
	}
	return at.Get(ctx, id)
}

// Known implements store.Grants.
func (g grants) Known(ctx context.Context, id string) *store.Grant {
	at, err := g.of(ctx)
	if err != nil {
		return nil
	}
	return at.Known(ctx, id)
}

// Rotate implements store.Grants.
func (g grants) Rotate(ctx context.Context, id string, from int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	at, err := g.of(ctx)
	if err != nil {
		return nil, err
	}
	return at.Rotate(ctx, id, from, rotatedAt, expiresAt)
}

// Renew implements store.Grants.
func (g grants) Renew(ctx context.Context, id string, generation int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	at, err := g.of(ctx)
	if err != nil {
		return nil, err
	}
	return at.Renew(ctx, id, generation, rotatedAt, expiresAt)
}

// Find implements store.Grants.
func (g grants) Find(ctx context.Context, q store.Query) ([]*store.Grant, error) {
	at, err := g.of(ctx)
	if err != nil {
		return nil, err
	}
	return at.Find(ctx, q)
}

// Revoke implements store.Grants.
func (g grants) Revoke(ctx context.Context, id, reason string, when time.Time) error {
	at, err := g.of(ctx)
	if err != nil {
		return err
	}
	return at.Revoke(ctx, id, reason, when)
}

type devices struct{ places *Places }

func (d devices) of(ctx context.Context) (store.Devices, error) {
	at, err := d.places.of(ctx)
	if at == nil || err != nil {
		return d.places.config.Devices, err
	}
	return at.Devices(), nil
}

// Create implements store.Devices.
func (d devices) Create(ctx context.Context, device *store.Device) error {
	at, err := d.of(ctx)
	if err != nil {
		return err
	}
	return at.Create(ctx, device)
}

// Get implements store.Devices.
func (d devices) Get(ctx context.Context, name string) (*store.Device, error) {
	at, err := d.of(ctx)
	if err != nil {
		return nil, err
	}
	return at.Get(ctx, name)
}

// Decide implements store.Devices.
func (d devices) Decide(ctx context.Context, name, id string, decision *store.Decision) error {
	at, err := d.of(ctx)
	if err != nil {
		return err
	}
	return at.Decide(ctx, name, id, decision)
}

// Pending implements store.Devices.
func (d devices) Pending(ctx context.Context, clientUID string, now time.Time) (int, error) {
	at, err := d.of(ctx)
	if err != nil {
		return 0, err
	}
	return at.Pending(ctx, clientUID, now)
}
