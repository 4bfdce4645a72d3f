package storage

import (
	"log/slog"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store/memory"
)

// A place that no issuer names any more is left, after a while; one that is named is not.
func TestAPlaceThatNobodyNamesIsClosed(t *testing.T) {
	holder := &registry.Holder{}
	p, err := New(Config{Grants: memory.New(time.Now), Devices: memory.NewDevices(time.Now), Holder: holder, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(); p.done.Wait() })
	named := func(key string) *registry.Issuer {
		return &registry.Issuer{Config: &registry.Config{Name: key, IssuerURL: registry.IssuerURL{URL: key}, Storage: &registry.Storage{Key: key, Data: map[string][]byte{"addresses": []byte("127.0.0.1:1")}}}}
	}
	now := time.Now()
	holder.Store(registry.NewSnapshot([]*registry.Issuer{named("a"), named("b")}))
	p.look(now)
	holder.Store(registry.NewSnapshot([]*registry.Issuer{named("b")}))
	p.look(now.Add(keepUnused))
	if len(p.open) != 2 {
		t.Fatalf("%d places are open, want both still", len(p.open))
	}
	p.look(now.Add(keepUnused + time.Second))
	if len(p.open) != 1 || p.open["b"] == nil {
		t.Errorf("%d places are open, want the one that is named", len(p.open))
	}
}
