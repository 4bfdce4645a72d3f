package valkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	driver "github.com/valkey-io/valkey-go"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/retry"
)

// Devices implements store.Devices on the connections of a Store. Nothing is remembered of what was read: a device asks every few
// seconds, of any replica.
type Devices struct{ store *Store }

var _ store.Devices = (*Devices)(nil)

// Devices returns the device authorizations that are kept beside the grants.
func (s *Store) Devices() *Devices { return &Devices{s} }

// deviceRecord is the value of a device authorization's key.
type deviceRecord struct {
	Format int           `json:"v"`
	Device *store.Device `json:"device"`
}

func encodeDevice(d *store.Device) (string, error) {
	b, err := json.Marshal(deviceRecord{format, d})
	return string(b), err
}

// decodeDevice reads what the answer to a GET stands for.
func decodeDevice(value string, err error) (*store.Device, error) {
	switch {
	case driver.IsValkeyNil(err):
		return nil, store.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("store/valkey: read a device authorization: %w", err)
	}
	var r deviceRecord
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return nil, fmt.Errorf("store/valkey: what is stored of a device authorization can't be read: %w", err)
	}
	if r.Format != format || r.Device == nil {
		return nil, fmt.Errorf("store/valkey: a device authorization is stored in format %d, and this version reads %d", r.Format, format)
	}
	return r.Device, nil
}

func (s *Devices) deviceKey(name string) string       { return s.store.key(deviceKind, name) }
func (s *Devices) askedIndex(clientUID string) string { return s.store.key(askedKind, clientUID) }

// Create implements store.Devices.
func (s *Devices) Create(ctx context.Context, d *store.Device) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !validID(d.Name) || !validID(d.ID) {
		return errors.New("store/valkey: a device authorization needs a well-formed name and id")
	}
	value, err := encodeDevice(d)
	if err != nil {
		return err
	}
	left, err := s.store.named(ctx, s.store.naming([]string{s.askedIndex(d.ClientUID)}, d.Name, d.ExpiresAt))
	if err != nil {
		return err
	}
	for range writeAttempts {
		var before string
		before, err = s.store.write(ctx, VerbCreate, create(s.deviceKey(d.Name), value, s.store.lifetime(d.ExpiresAt), left, store.NoLimit))
		switch {
		case err == nil && (before == "" || before == value): // our own, whose answer was lost: nobody else has made the id
			return nil
		case err == nil:
			return store.ErrExists
		case ctx.Err() != nil || !errors.Is(err, errNoAnswer):
			return fmt.Errorf("store/valkey: create a device authorization: %w", err)
		}
	}
	return fmt.Errorf("store/valkey: create a device authorization: %w", err)
}

// Get implements store.Devices.
func (s *Devices) Get(ctx context.Context, name string) (*store.Device, error) {
	d, _, err := s.read(ctx, name)
	return d, err
}

func (s *Devices) read(ctx context.Context, name string) (d *store.Device, raw string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if !validID(name) {
		return nil, "", store.ErrNotFound
	}
	r, err := s.store.reader(ctx)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	raw, err = r.Do(ctx, r.B().Get().Key(s.deviceKey(name)).Build()).ToString()
	d, err = decodeDevice(raw, err)
	return d, raw, err
}

// Decide implements store.Devices.
func (s *Devices) Decide(ctx context.Context, name, id string, decision *store.Decision) error {
	var failure error
	for tried := (retry.Bound{}); tried.Left(); tried.Count(failure == nil) {
		d, raw, err := s.read(ctx, name)
		switch {
		case err != nil:
			return err
		case d.ID != id:
			return store.ErrNotFound
		case d.Decision != nil && !d.Decision.Says(decision):
			return store.ErrDecided
		}
		settled, err := s.tryDecide(ctx, d, raw, decision)
		if settled {
			return err
		}
		failure = err
	}
	return fmt.Errorf("store/valkey: decide about a device authorization: %w", errors.Join(failure, errContended))
}

// tryDecide writes once; a decision that is there and says the same is written again as it is, for a replica may not have it yet.
// Not settled means: to be looked at again.
func (s *Devices) tryDecide(ctx context.Context, d *store.Device, raw string, decision *store.Decision) (settled bool, err error) {
	value := raw
	if d.Decision == nil {
		decided := *d
		decided.Decision = decision
		if value, err = encodeDevice(&decided); err != nil {
			return true, err
		}
	}
	answer, err := s.store.write(ctx, VerbUpdate, swap(s.deviceKey(d.Name), raw, value, s.store.lifetime(d.ExpiresAt), noIndexes()))
	switch {
	case errors.Is(err, errNoAnswer) && ctx.Err() == nil:
		return false, err
	case err != nil:
		return true, fmt.Errorf("store/valkey: decide about a device authorization: %w", err)
	case answer == absent:
		return true, store.ErrNotFound
	}
	return answer == swapped, nil
}

// Pending implements store.Devices. What a client may have waiting is limited, and so is what is read.
func (s *Devices) Pending(ctx context.Context, clientUID string, now time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	names, err := s.store.members(ctx, s.askedIndex(clientUID))
	if err != nil || len(names) == 0 {
		return 0, err
	}
	r, err := s.store.reader(ctx)
	if err != nil {
		return 0, err
	}
	gets := make([]driver.Completed, 0, len(names))
	for _, name := range names {
		gets = append(gets, r.B().Get().Key(s.deviceKey(name)).Build())
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	waiting := 0
	for _, result := range r.DoMulti(ctx, gets...) {
		value, err := result.ToString()
		switch d, err := decodeDevice(value, err); {
		case errors.Is(err, store.ErrNotFound): // not there yet, or deleted
		case err != nil:
			return 0, err
		case d.Waiting(now):
			waiting++
		}
	}
	return waiting, nil
}

// Delete removes a device authorization, as an administrator does. ErrNotFound when there is none.
func (s *Devices) Delete(ctx context.Context, name string) error {
	d, raw, err := s.read(ctx, name)
	if err != nil {
		return err
	}
	if err := s.store.withdraw(ctx, s.deviceKey(name), raw); err != nil {
		return fmt.Errorf("store/valkey: delete a device authorization: %w", err)
	}
	return s.store.batch(ctx, []command{func(b driver.Builder) driver.Completed {
		return b.Zrem().Key(s.askedIndex(d.ClientUID)).Member(name).Build()
	}})
}
