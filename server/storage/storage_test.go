package storage_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/storage"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
	"github.com/latchkey-io/latchkey/server/store/storetest"
)

type fixture struct {
	t      *testing.T
	places *storage.Places
	holder *registry.Holder
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, holder: &registry.Holder{}}
	var err error
	f.places, err = storage.New(storage.Config{
		Grants: memory.New(time.Now), Devices: memory.NewDevices(time.Now), Holder: f.holder, Logger: slog.New(slog.DiscardHandler), OnWrite: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.places.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// issuer is one whose grants are kept at the address, or by the server itself when that is empty.
func issuer(name, address string) *registry.Issuer {
	iss := &registry.Issuer{Config: &registry.Config{Name: name, IssuerURL: registry.IssuerURL{URL: "https://" + name}}}
	if address != "" {
		iss.Storage = &registry.Storage{Key: address, Data: map[string][]byte{"addresses": []byte(address)}}
	}
	return iss
}

func (f *fixture) create(iss *registry.Issuer) *store.Grant {
	f.t.Helper()
	g := storetest.NewGrant()
	if err := f.places.Grants().Create(registry.In(f.t.Context(), iss), g, store.NoLimit); err != nil {
		f.t.Fatal(err)
	}
	return g
}

func TestEachIssuersGrantsAreKeptWhereItSays(t *testing.T) {
	f := newFixture(t)
	first, second := valkeyserver.Start(t, valkeyserver.Options{}), valkeyserver.Start(t, valkeyserver.Options{})
	issuers := []*registry.Issuer{issuer("own", ""), issuer("first", first.Address), issuer("second", second.Address)}
	f.holder.Store(registry.NewSnapshot(issuers))
	for _, iss := range issuers {
		g := f.create(iss)
		for _, other := range issuers {
			ctx := registry.In(t.Context(), other)
			_, err := f.places.Grants().Get(ctx, g.ID)
			found, findErr := f.places.Grants().Find(ctx, store.Query{AuthorizationServer: g.AuthorizationServer, SessionID: g.SessionID})
			if other == iss && (err != nil || len(found) != 1) || other != iss && (!errors.Is(err, store.ErrNotFound) || len(found) != 0) || findErr != nil {
				t.Errorf("a grant of %s, asked for at %s: %v; %d found, %v", iss.Name, other.Name, err, len(found), findErr)
			}
		}
		d := storetest.NewDevice()
		if err := f.places.Devices().Create(registry.In(t.Context(), iss), d); err != nil {
			t.Fatal(err)
		}
		for _, other := range issuers {
			if _, err := f.places.Devices().Get(registry.In(t.Context(), other), d.Name); (err == nil) != (other == iss) {
				t.Errorf("a device of %s, asked for at %s: %v", iss.Name, other.Name, err)
			}
		}
	}
}

// What can't be found is no answer: neither where nobody said for whom, nor where the place isn't known.
func TestNoPlaceIsNeverAnAnswer(t *testing.T) {
	f := newFixture(t)
	missing := issuer("missing", "nowhere:1")
	missing.Storage = &registry.Storage{Key: "no Secret"}
	for name, ctx := range map[string]context.Context{"no issuer": t.Context(), "no Secret": registry.In(t.Context(), missing)} {
		g, d := storetest.NewGrant(), storetest.NewDevice()
		grants, devices := f.places.Grants(), f.places.Devices()
		_, getErr := grants.Get(ctx, g.ID)
		_, rotateErr := grants.Rotate(ctx, g.ID, 1, time.Now(), time.Now())
		_, renewErr := grants.Renew(ctx, g.ID, 1, time.Now(), time.Now())
		_, findErr := grants.Find(ctx, store.Query{AuthorizationServer: "default", UserUID: "u"})
		_, deviceErr := devices.Get(ctx, d.Name)
		_, pendingErr := devices.Pending(ctx, "c", time.Now())
		for what, err := range map[string]error{
			"Get": getErr, "Rotate": rotateErr, "Renew": renewErr, "Find": findErr, "Create": grants.Create(ctx, g, store.NoLimit),
			"Revoke": grants.Revoke(ctx, g.ID, store.ReasonSignedOut, time.Now()), "Create of a device": devices.Create(ctx, d),
			"Get of a device": deviceErr, "Decide": devices.Decide(ctx, d.Name, d.ID, storetest.NewDecision()), "Pending": pendingErr,
		} {
			if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

// A Secret that changes is another place, and the one before goes on for requests that began with it.
func TestAnotherAddressIsAnotherPlace(t *testing.T) {
	f := newFixture(t)
	first, second := valkeyserver.Start(t, valkeyserver.Options{}), valkeyserver.Start(t, valkeyserver.Options{})
	before, after := issuer("moved", first.Address), issuer("moved", second.Address)
	g := f.create(before)
	f.holder.Store(registry.NewSnapshot([]*registry.Issuer{after}))
	if _, err := f.places.Grants().Get(registry.In(t.Context(), after), g.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("at the new place: %v", err)
	}
	if _, err := f.places.Grants().Get(registry.In(t.Context(), before), g.ID); err != nil {
		t.Errorf("at the old place: %v", err)
	}
}
