package kubernetes_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/kubernetes"
	"github.com/latchkey-io/latchkey/server/store/storetest"
)

// deviceReplica is a Devices as one server process has it, counting what it writes.
type deviceReplica struct {
	*kubernetes.Devices
	writes atomic.Int64
}

// newDeviceReplica starts a replica that follows the device authorizations, unless it is to stay idle.
func newDeviceReplica(t testing.TB, cp *controlplane.ControlPlane, namespace string, now func() time.Time, wrap func(http.RoundTripper) http.RoundTripper) *deviceReplica {
	t.Helper()
	config := cp.RESTConfig()
	if wrap != nil {
		config.Wrap(wrap)
	}
	r := &deviceReplica{}
	var err error
	r.Devices, err = kubernetes.NewDevices(newConfig(t, config, namespace, now, &r.writes))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the replica is synced", func(context.Context) (bool, error) { return r.Synced(), nil })
	return r
}

func TestDevicesConformance(t *testing.T) {
	storetest.RunDevices(t, func(t *testing.T) storetest.DevicesHarness {
		namespace := newNamespace(t)
		a, b := newDeviceReplica(t, cluster, namespace, nil, nil), newDeviceReplica(t, cluster, namespace, nil, nil)
		return storetest.DevicesHarness{Devices: a, Replica: b, Delete: func(ctx context.Context, name string) error {
			if _, _, err := cluster.Kubectl(ctx, "delete", "oauthdeviceauthorization", "--namespace="+namespace, name); err != nil {
				return err
			}
			return wait.PollUntilContextCancel(ctx, poll, true, func(context.Context) (bool, error) {
				return a.SawDeleted(name) && b.SawDeleted(name), nil
			})
		}}
	})
}

func createDevice(t *testing.T, s store.Devices) *store.Device {
	t.Helper()
	d := storetest.NewDevice()
	if err := s.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestADeviceAuthorizationCostsTwoWrites(t *testing.T) {
	r := newDeviceReplica(t, cluster, newNamespace(t), nil, nil)
	d := createDevice(t, r)
	decision := storetest.NewDecision()
	for range 3 {
		if err := r.Decide(t.Context(), d.Name, d.ID, decision); err != nil {
			t.Fatal(err)
		}
		if err := r.Decide(t.Context(), d.Name, d.ID, storetest.NewDecision()); !errors.Is(err, store.ErrDecided) {
			t.Errorf("decided again: %v", err)
		}
	}
	if n := r.writes.Load(); n != 2 {
		t.Errorf("%d writes, want one to create it and one to decide it", n)
	}
}

// Security: a device authorization in a tenant's namespace is nobody's.
func TestTenantsOwnDeviceAuthorization(t *testing.T) {
	operator, tenant := newNamespace(t), newNamespace(t)
	r, theirs := newDeviceReplica(t, cluster, operator, nil, nil), newDeviceReplica(t, cluster, tenant, nil, nil)
	d := createDevice(t, theirs)
	if _, err := r.Get(t.Context(), d.Name); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if err := r.Decide(t.Context(), d.Name, d.ID, storetest.NewDecision()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("decide: %v", err)
	}
}

func TestOversizedDeviceAuthorizationIsAnErrorAndNothingIsWritten(t *testing.T) {
	r := newDeviceReplica(t, cluster, newNamespace(t), nil, nil)
	d := storetest.NewDevice()
	d.Scopes = []string{strings.Repeat("x", 129)}
	if err := r.Create(t.Context(), d); err == nil || errors.Is(err, store.ErrExists) {
		t.Fatalf("got %v", err)
	}
	if _, err := r.Get(t.Context(), d.Name); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
}

// What the kubectl of an administrator shows.
func TestDeviceAuthorizationColumns(t *testing.T) {
	namespace := newNamespace(t)
	r := newDeviceReplica(t, cluster, namespace, nil, nil)
	d := createDevice(t, r)
	if err := r.Decide(t.Context(), d.Name, d.ID, storetest.NewDecision()); err != nil {
		t.Fatal(err)
	}
	out, _, err := cluster.Kubectl(t.Context(), "get", "oauth", "--namespace="+namespace)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CLIENT", "STATE", "EXPIRES", d.ClientID, "Approved", "alice"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

func TestUnknownOutcomeOfADeviceAuthorization(t *testing.T) {
	for name, test := range map[string]struct {
		faults  int64
		deliver bool
		writes  int64
		created bool
	}{
		"the answer is lost":    {faults: 1, deliver: true, writes: 1, created: true},
		"the request is lost":   {faults: 1, writes: 2, created: true},
		"all requests are lost": {faults: 10, writes: 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := &faulty{deliver: test.deliver}
			f.faults.Store(test.faults)
			r := newDeviceReplica(t, cluster, newNamespace(t), nil, func(next http.RoundTripper) http.RoundTripper {
				f.RoundTripper = next
				return f
			})
			err := r.Create(t.Context(), storetest.NewDevice())
			if (err == nil) != test.created || errors.Is(err, store.ErrExists) {
				t.Errorf("got %v", err)
			}
			if n := r.writes.Load(); n != test.writes {
				t.Errorf("%d writes, want %d", n, test.writes)
			}
		})
	}
}

// An authorization that can't be read is an error, never one that is absent; and what the watch said long ago is not the truth.
func TestUnreadableDeviceAuthorizationIsNotAbsent(t *testing.T) {
	cp, err := controlplane.Start(t.Context(), controlplane.Options{Manifests: manifests, NoControllerManager: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	var c clock
	r := newDeviceReplica(t, cp, "default", c.now, nil)
	known := createDevice(t, r)
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(t.Context(), known.Name); err != nil {
		t.Errorf("a known one during an outage: %v", err)
	}
	notKnown := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDecided) || errors.Is(err, store.ErrExists) {
			t.Errorf("%s during an outage: %v", what, err)
		}
	}
	_, err = r.Get(t.Context(), storetest.NewDevice().Name)
	notKnown("an unknown one", err)
	notKnown("create", r.Create(t.Context(), storetest.NewDevice()))
	notKnown("decide", r.Decide(t.Context(), known.Name, known.ID, storetest.NewDecision()))
	c.ahead.Store(int64(6 * time.Minute))
	_, err = r.Get(t.Context(), known.Name)
	notKnown("what the watch said 6 minutes ago", err)
	_, err = r.Pending(t.Context(), known.ClientUID, c.now())
	notKnown("the count", err)
}
