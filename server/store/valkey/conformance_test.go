package valkey_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// backends are the kinds of servers there are: each makes one, and says how it is reached.
func backends() map[string]func(testing.TB) valkey.Config {
	return map[string]func(testing.TB) valkey.Config{
		"alone": func(t testing.TB) valkey.Config {
			return valkey.Config{Addresses: []string{valkeyserver.Start(t, valkeyserver.Options{}).Address}}
		},
		"with a replica": func(t testing.TB) valkey.Config {
			primary := valkeyserver.Start(t, valkeyserver.Options{})
			valkeyserver.Start(t, valkeyserver.Options{ReplicaOf: primary})
			return valkey.Config{Addresses: []string{primary.Address}}
		},
		"Sentinel": func(t testing.TB) valkey.Config {
			primary := valkeyserver.Start(t, valkeyserver.Options{})
			valkeyserver.Start(t, valkeyserver.Options{ReplicaOf: primary})
			sentinel := valkeyserver.StartSentinel(t, primary)
			return valkey.Config{Addresses: []string{sentinel.Address}, MasterName: valkeyserver.MasterName}
		},
		"Cluster": func(t testing.TB) valkey.Config {
			nodes := valkeyserver.StartCluster(t, 3)
			return valkey.Config{Addresses: []string{nodes[0].Address, nodes[1].Address}}
		},
		"TLS and an ACL user": secured,
	}
}

func TestConformance(t *testing.T) {
	for name, start := range backends() {
		t.Run(name, func(t *testing.T) {
			config := start(t)
			storetest.Run(t, func(t *testing.T) storetest.Harness {
				a, b := open(t, config), open(t, config)
				return storetest.Harness{Grants: a, Replica: b, Delete: func(ctx context.Context, id string) error { return a.Delete(ctx, id) }}
			})
		})
	}
}

func TestDevicesConformance(t *testing.T) {
	for name, start := range backends() {
		t.Run(name, func(t *testing.T) {
			config := start(t)
			storetest.RunDevices(t, func(t *testing.T) storetest.DevicesHarness {
				a, b := open(t, config).Devices(), open(t, config).Devices()
				return storetest.DevicesHarness{Devices: a, Replica: b, Delete: a.Delete}
			})
		})
	}
}

// open makes a Store as a server process has it.
func open(t testing.TB, config valkey.Config) *valkey.Store {
	t.Helper()
	s, err := valkey.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the store is connected", s.Connected)
	return s
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(5 * time.Millisecond); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after a minute", what)
		}
	}
}
