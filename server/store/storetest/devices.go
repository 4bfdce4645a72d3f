package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// DevicesHarness is a backend of device authorizations under test.
type DevicesHarness struct {
	// Devices is the implementation; Replica is a second handle on the same backend, as another replica of the server has
	// one, or Devices itself where a backend has only one process.
	Devices, Replica store.Devices
	// Delete removes a device authorization behind the store's back, and returns once both handles know of it.
	Delete func(ctx context.Context, name string) error
}

// RunDevices runs the suite of store.Devices. open is called once a test; what it opens is cleaned up by t.Cleanup.
func RunDevices(t *testing.T, open func(t *testing.T) DevicesHarness) {
	tests := []struct {
		name string
		run  func(*testing.T, DevicesHarness)
	}{
		{"Create and Get keep every value", testDeviceRoundTrip},
		{"Create and Decide keep no reference to their arguments", testDeviceNoAliasing},
		{"a replica gets a device authorization that was just created", testReplicaGetsDevice},
		{"an unknown name", testUnknownDevice},
		{"Create of a name that is taken", testDeviceExists},
		{"Create of one name, 100 at once", testDeviceCreateOnce},
		{"Decide is final", testDecideOnce},
		{"Decide twice with the same word", testDecideTwice},
		{"Decide, 100 at once", testDecideConcurrently},
		{"Decide about another id", testDecideOtherID},
		{"a replica learns of a decision", testReplicaLearnsOfDecision},
		{"a deleted device authorization is gone", testDeletedDevice},
		{"Pending counts what waits, for each client", testPending},
		{"every method honours its context", testDevicesContext},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// NewDevice makes a device authorization with a random name that waits for ten minutes.
func NewDevice() *store.Device {
	name := make([]byte, 16)
	_, _ = rand.Read(name) // never fails
	return &store.Device{
		Name:                hex.EncodeToString(name),
		ID:                  newID(),
		AuthorizationServer: "default",
		ClientID:            "shop.tv",
		ClientUID:           newID(),
		Scopes:              []string{"openid", "offline_access"},
		Targets: []store.Target{
			{Resource: "https://orders.shop.svc", Scopes: []string{"orders.read", "orders.write"}},
			{Resource: "https://stock.shop.svc:8443/v1"},
		},
		Source:    "2001:db8::1",
		ExpiresAt: time.Now().UTC().Truncate(time.Second).Add(10 * time.Minute),
	}
}

// NewDecision makes the approval of a part of what NewDevice asks for.
func NewDecision() *store.Decision {
	now := time.Now().UTC().Truncate(time.Second)
	return &store.Decision{
		Approved: true, At: now,
		User: "alice", UserUID: "0b6f3a52-2a35-4dc2-8d64-9a4b3f7f2b51", SessionID: newID(), CredentialVersion: "v1", AuthTime: now.Add(-time.Minute),
		Scopes: []string{"openid"}, Targets: []store.Target{{Resource: "https://orders.shop.svc", Scopes: []string{"orders.read"}}},
	}
}

func createDevice(t *testing.T, s store.Devices, d *store.Device) {
	t.Helper()
	if err := s.Create(t.Context(), d); err != nil {
		t.Fatalf("Create: %v", err)
	}
}

func getDevice(t *testing.T, s store.Devices, name string) *store.Device {
	t.Helper()
	d, err := s.Get(t.Context(), name)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return d
}

// wantDevice compares all members.
func wantDevice(t *testing.T, got, want *store.Device) {
	t.Helper()
	if describe(got) != describe(want) {
		t.Errorf("got  %s\nwant %s", describe(got), describe(want))
	}
}

// describe writes down a device authorization with all its members, times in seconds.
func describe(d *store.Device) string {
	flat := *d
	flat.Decision, flat.ExpiresAt = nil, time.Time{}
	s := fmt.Sprintf("%+v until %d", flat, d.ExpiresAt.Unix())
	if d.Decision == nil {
		return s
	}
	decision := *d.Decision
	decision.At, decision.AuthTime = time.Time{}, time.Time{}
	return s + fmt.Sprintf(" decided %+v at %d, signed in at %d", decision, d.Decision.At.Unix(), d.Decision.AuthTime.Unix())
}

// with is the device authorization with a decision.
func with(d *store.Device, decision *store.Decision) *store.Device {
	c := *d
	c.Decision = decision
	return &c
}

func testDeviceRoundTrip(t *testing.T, h DevicesHarness) {
	for name, change := range map[string]func(*store.Device, *store.Decision){
		"all members": func(*store.Device, *store.Decision) {},
		"least": func(d *store.Device, c *store.Decision) {
			d.Scopes, d.Targets, d.Source = []string{"openid"}, nil, ""
			c.Targets = nil
		},
		"denied": func(_ *store.Device, c *store.Decision) { c.Approved, c.Scopes, c.Targets = false, nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			d, decision := NewDevice(), NewDecision()
			change(d, decision)
			createDevice(t, h.Devices, d)
			wantDevice(t, getDevice(t, h.Devices, d.Name), d)
			if err := h.Devices.Decide(t.Context(), d.Name, d.ID, decision); err != nil {
				t.Fatal(err)
			}
			wantDevice(t, getDevice(t, h.Devices, d.Name), with(d, decision))
		})
	}
}

func testDeviceNoAliasing(t *testing.T, h DevicesHarness) {
	d, decision := NewDevice(), NewDecision()
	createDevice(t, h.Devices, d)
	if err := h.Devices.Decide(t.Context(), d.Name, d.ID, decision); err != nil {
		t.Fatal(err)
	}
	want := describe(getDevice(t, h.Devices, d.Name))
	d.Scopes[0], d.Targets[0].Resource, d.Targets[0].Scopes[0] = "changed", "changed", "changed"
	decision.Scopes[0], decision.Targets[0].Resource, decision.Targets[0].Scopes[0], decision.Approved = "changed", "changed", "changed", false
	if got := describe(getDevice(t, h.Devices, d.Name)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func testReplicaGetsDevice(t *testing.T, h DevicesHarness) {
	for range 20 {
		d := NewDevice()
		createDevice(t, h.Devices, d)
		wantDevice(t, getDevice(t, h.Replica, d.Name), d)
	}
}

func testUnknownDevice(t *testing.T, h DevicesHarness) {
	for _, name := range []string{NewDevice().Name, "", "../secrets/x", "A"} {
		_, err := h.Devices.Get(t.Context(), name)
		wantError(t, "Get", err, store.ErrNotFound)
		wantError(t, "Decide", h.Devices.Decide(t.Context(), name, "id", NewDecision()), store.ErrNotFound)
	}
}

func testDeviceExists(t *testing.T, h DevicesHarness) {
	d := NewDevice()
	createDevice(t, h.Devices, d)
	other := NewDevice()
	other.Name = d.Name
	wantError(t, "Create", h.Devices.Create(t.Context(), other), store.ErrExists)
	wantError(t, "Create at the replica", h.Replica.Create(t.Context(), other), store.ErrExists)
	wantDevice(t, getDevice(t, h.Replica, d.Name), d)
}

func testDeviceCreateOnce(t *testing.T, h DevicesHarness) {
	first := NewDevice()
	handles := []store.Devices{h.Devices, h.Replica}
	errs, attempts := make([]error, 100), make([]*store.Device, 100)
	inParallel(len(errs), func(i int) {
		attempts[i] = NewDevice()
		attempts[i].Name = first.Name
		errs[i] = handles[i%2].Create(t.Context(), attempts[i])
	})
	winner := onlyWinner(t, errs, store.ErrExists)
	wantDevice(t, getDevice(t, h.Replica, first.Name), attempts[winner])
}

// onlyWinner is the index of the one attempt that succeeded; all others must have been told why.
func onlyWinner(t *testing.T, errs []error, why error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("both attempt %d and attempt %d succeeded", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, why):
			t.Errorf("attempt %d: got error %v, want %v", i, err, why)
		}
	}
	if winner < 0 {
		t.Fatal("no attempt succeeded")
	}
	return winner
}

func testDecideOnce(t *testing.T, h DevicesHarness) {
	for _, approved := range []bool{true, false} {
		d, decision := NewDevice(), NewDecision()
		decision.Approved = approved
		createDevice(t, h.Devices, d)
		if err := h.Devices.Decide(t.Context(), d.Name, d.ID, decision); err != nil {
			t.Fatal(err)
		}
		contrary := *decision
		contrary.Approved = !approved
		for name, other := range map[string]*store.Decision{"somebody else": NewDecision(), "the contrary": &contrary} {
			wantError(t, name, h.Devices.Decide(t.Context(), d.Name, d.ID, other), store.ErrDecided)
			wantError(t, name+" at the replica", h.Replica.Decide(t.Context(), d.Name, d.ID, other), store.ErrDecided)
		}
		wantDevice(t, getDevice(t, h.Devices, d.Name), with(d, decision))
	}
}

func testDecideTwice(t *testing.T, h DevicesHarness) {
	d, decision := NewDevice(), NewDecision()
	createDevice(t, h.Devices, d)
	later := *decision
	later.At = later.At.Add(time.Second)
	for i, s := range []store.Devices{h.Devices, h.Devices, h.Replica} {
		say := decision
		if i > 0 {
			say = &later
		}
		if err := s.Decide(t.Context(), d.Name, d.ID, say); err != nil {
			t.Errorf("time %d: %v", i+1, err)
		}
	}
	wantDevice(t, getDevice(t, h.Devices, d.Name), with(d, decision))
}

func testDecideConcurrently(t *testing.T, h DevicesHarness) {
	d := NewDevice()
	createDevice(t, h.Devices, d)
	handles := []store.Devices{h.Devices, h.Replica}
	errs, decisions := make([]error, 100), make([]*store.Decision, 100)
	inParallel(len(errs), func(i int) {
		decisions[i] = NewDecision()
		decisions[i].Approved = i%3 == 0
		errs[i] = handles[i%2].Decide(t.Context(), d.Name, d.ID, decisions[i])
	})
	winner := onlyWinner(t, errs, store.ErrDecided)
	wantDevice(t, awaitDecision(t, h.Replica, d.Name), with(d, decisions[winner]))
}

func testDecideOtherID(t *testing.T, h DevicesHarness) {
	d := NewDevice()
	createDevice(t, h.Devices, d)
	wantError(t, "Decide", h.Devices.Decide(t.Context(), d.Name, NewDevice().ID, NewDecision()), store.ErrNotFound)
	wantDevice(t, getDevice(t, h.Devices, d.Name), d)
}

func testReplicaLearnsOfDecision(t *testing.T, h DevicesHarness) {
	d, decision := NewDevice(), NewDecision()
	createDevice(t, h.Devices, d)
	getDevice(t, h.Replica, d.Name)
	if err := h.Devices.Decide(t.Context(), d.Name, d.ID, decision); err != nil {
		t.Fatal(err)
	}
	wantDevice(t, awaitDecision(t, h.Replica, d.Name), with(d, decision))
}

func testDeletedDevice(t *testing.T, h DevicesHarness) {
	d := NewDevice()
	createDevice(t, h.Devices, d)
	if err := h.Delete(t.Context(), d.Name); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]store.Devices{"one": h.Devices, "replica": h.Replica} {
		_, err := s.Get(t.Context(), d.Name)
		wantError(t, name+": Get", err, store.ErrNotFound)
		wantError(t, name+": Decide", s.Decide(t.Context(), d.Name, d.ID, NewDecision()), store.ErrNotFound)
	}
}

func testPending(t *testing.T, h DevicesHarness) {
	client, now := newID(), time.Now()
	add := func(change func(*store.Device)) *store.Device {
		d := NewDevice()
		d.ClientUID = client
		change(d)
		createDevice(t, h.Devices, d)
		return d
	}
	var waiting []*store.Device
	for range 3 {
		waiting = append(waiting, add(func(*store.Device) {}))
	}
	add(func(d *store.Device) { d.ClientUID = newID() })
	add(func(d *store.Device) { d.ExpiresAt = now.Add(-time.Second).Truncate(time.Second) })
	wantPending(t, h.Devices, client, now, 3)
	awaitPending(t, h.Replica, client, now, 3)
	if err := h.Devices.Decide(t.Context(), waiting[0].Name, waiting[0].ID, NewDecision()); err != nil {
		t.Fatal(err)
	}
	wantPending(t, h.Devices, client, now, 2)
	awaitPending(t, h.Replica, client, now, 2)
	wantPending(t, h.Devices, client, now.Add(time.Hour), 0)
}

func wantPending(t *testing.T, s store.Devices, client string, now time.Time, want int) {
	t.Helper()
	if n, err := s.Pending(t.Context(), client, now); err != nil || n != want {
		t.Errorf("%d wait, %v; want %d", n, err, want)
	}
}

func testDevicesContext(t *testing.T, h DevicesHarness) {
	d, unborn := NewDevice(), NewDevice()
	createDevice(t, h.Devices, d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Devices.Get(ctx, d.Name)
	wantError(t, "Get", err, context.Canceled)
	_, err = h.Devices.Pending(ctx, d.ClientUID, time.Now())
	wantError(t, "Pending", err, context.Canceled)
	wantError(t, "Create", h.Devices.Create(ctx, unborn), context.Canceled)
	wantError(t, "Decide", h.Devices.Decide(ctx, d.Name, d.ID, NewDecision()), context.Canceled)
	wantDevice(t, getDevice(t, h.Devices, d.Name), d)
	_, err = h.Devices.Get(t.Context(), unborn.Name)
	wantError(t, "Get of what was not created", err, store.ErrNotFound)
}

// awaitDecision polls until the handle knows the decision.
func awaitDecision(t *testing.T, s store.Devices, name string) *store.Device {
	t.Helper()
	var d *store.Device
	await(t, "the handle knows of the decision", func() bool {
		d = getDevice(t, s, name)
		return d.Decision != nil
	})
	return d
}

func awaitPending(t *testing.T, s store.Devices, client string, now time.Time, want int) {
	t.Helper()
	await(t, fmt.Sprintf("the handle counts %d", want), func() bool {
		n, err := s.Pending(t.Context(), client, now)
		return err == nil && n == want
	})
}

// await polls until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not after %s", what, patience)
		case <-tick.C:
		}
	}
}
