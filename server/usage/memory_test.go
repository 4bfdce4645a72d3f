package usage

import (
	"fmt"
	"hash/maphash"
	"sync"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
)

func clientNamed(name string) *registry.Client {
	return &registry.Client{Namespace: "shop", Name: name, UID: "uid-" + name}
}

func TestMemoryNeverGoesBack(t *testing.T) {
	m, c := newMemory(maphash.MakeSeed()), clientNamed("storefront")
	var requests sync.WaitGroup
	for worker := range int64(8) {
		requests.Go(func() {
			for at := range int64(10_000) {
				m.note(c, "one", at*8+worker)
			}
		})
	}
	requests.Wait()
	if last := m.last(c.UID, "one"); last != 10_000*8-1 {
		t.Errorf("last used at %d", last)
	}
	m.note(c, "one", 5)
	if last := m.last(c.UID, "one"); last != 10_000*8-1 {
		t.Errorf("set back to %d", last)
	}
	if m.last(c.UID, "two") != 0 || m.last("uid-another", "one") != 0 {
		t.Error("a use of another secret or client is known")
	}
}

func TestNotingAllocatesNothing(t *testing.T) {
	m, c := newMemory(maphash.MakeSeed()), clientNamed("storefront")
	at := int64(1)
	m.note(c, "one", at)
	if n := testing.AllocsPerRun(1000, func() { at++; m.note(c, "one", at) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory(maphash.MakeSeed())
	if m.max != 262_144 {
		t.Errorf("a server remembers %d", m.max)
	}
	m.max = 100
	for i := range 1000 {
		m.note(clientNamed(fmt.Sprint(i)), "one", 1)
	}
	if n := len(m.unwritten()); n != 100 {
		t.Errorf("%d are remembered", n)
	}
	for i := range 1000 {
		m.forget(clientNamed(fmt.Sprint(i)).UID)
	}
	if m.size.Load() != 0 {
		t.Errorf("%d are left", m.size.Load())
	}
	m.note(clientNamed("late"), "one", 1)
	if len(m.unwritten()) != 1 {
		t.Error("there is no room although all are gone")
	}
}

// Secrets come and go with rotations: those that status does not have are forgotten an hour after their last use, and not at once,
// for status may have been written by hand.
func TestSecretsThatAreGoneAreForgotten(t *testing.T) {
	m, c := newMemory(maphash.MakeSeed()), clientNamed("storefront")
	m.note(c, "old", 1000)
	m.note(c, "new", 9000)
	p := &plan{told: map[string]int64{"new": 9000}}
	m.settle(c.UID, p, 4000, 3600, 3600)
	if m.last(c.UID, "old") != 1000 || len(m.due(4001)) != 0 || len(m.due(4000+3600)) != 1 {
		t.Error("not kept for an hour")
	}
	m.settle(c.UID, p, 4601, 3600, 3600)
	if m.last(c.UID, "old") != 0 || m.last(c.UID, "new") != 9000 || m.size.Load() != 1 {
		t.Error("not forgotten")
	}
	m.settle(c.UID, &plan{}, 90_000, 3600, 3600)
	if m.size.Load() != 0 || m.shard(c.UID).clients[c.UID] != nil {
		t.Error("a client without secrets is kept")
	}
}

func BenchmarkUsed(b *testing.B) {
	m := newMemory(maphash.MakeSeed())
	clients := make([]*registry.Client, 1000)
	for i := range clients {
		clients[i] = clientNamed(fmt.Sprint(i))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := int64(0); pb.Next(); i++ {
			m.note(clients[i%1000], "one", i/1000)
		}
	})
}

// BenchmarkDue is what a look over 100,000 clients costs of which none is due.
func BenchmarkDue(b *testing.B) {
	m := newMemory(maphash.MakeSeed())
	for i := range 100_000 {
		c := clientNamed(fmt.Sprint(i))
		m.note(c, "one", 5000)
		m.settle(c.UID, &plan{told: map[string]int64{"one": 4000}}, 5000, 3600, 3600)
	}
	for b.Loop() {
		if len(m.due(5000)) != 0 {
			b.Fatal("some are due")
		}
	}
}
