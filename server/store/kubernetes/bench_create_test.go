package kubernetes_test

import (
	"errors"
	"testing"

	"github.com/latchkey-io/latchkey/server/store"
)

// BenchmarkCreate is what the redemption of a code costs at the API server.
func BenchmarkCreate(b *testing.B) {
	r := newReplica(b, cluster, newNamespace(b), nil, nil)
	if err := r.Create(b.Context(), newGrant(b), store.NoLimit); err != nil { // the first of an API server that has just started takes longer
		b.Fatal(err)
	}
	before := r.writes.Load()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := r.Create(b.Context(), newGrant(b), store.NoLimit); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(r.writes.Load()-before)/float64(b.N), "writes/op")
}

// BenchmarkReplay is what a code costs that is presented again.
func BenchmarkReplay(b *testing.B) {
	r := newReplica(b, cluster, newNamespace(b), nil, nil)
	grant := newGrant(b)
	if err := r.Create(b.Context(), grant, store.NoLimit); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := r.Create(b.Context(), grant, store.NoLimit); !errors.Is(err, store.ErrExists) {
				b.Error(err)
				return
			}
		}
	})
}
