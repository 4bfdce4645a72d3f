package memory

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// manyGrants is as many as a busy site has alive, ten of each user.
const manyGrants = 100_000

func filledStore(b *testing.B) (*Store, *clock) {
	c := newClock()
	s := New(c.Now)
	for i := range manyGrants {
		g := &store.Grant{ID: fmt.Sprint(i), AuthorizationServer: "default", UserUID: fmt.Sprint("user-", i/10), Generation: 1, ExpiresAt: c.now.Add(time.Hour + time.Duration(i)*time.Second)}
		if err := s.Create(b.Context(), g, store.NoLimit); err != nil {
			b.Fatal(err)
		}
	}
	return s, c
}

func BenchmarkFind(b *testing.B) {
	s, _ := filledStore(b)
	b.ReportAllocs()
	for b.Loop() {
		if found, err := s.Find(b.Context(), store.Query{AuthorizationServer: "default", UserUID: "user-7777"}); err != nil || len(found) != 10 {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkRotate(b *testing.B) {
	s, c := filledStore(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		id, generation := fmt.Sprint(i%manyGrants), int64(1+i/manyGrants)
		i++
		if _, err := s.Rotate(b.Context(), id, generation, c.now, c.now.Add(time.Duration(i)*time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory is what a grant takes in the store, and what a collection of garbage has to look at.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		before := live()
		c := newClock()
		s := New(c.Now)
		for i := range manyGrants {
			g := &store.Grant{
				ID: fmt.Sprintf("%032d", i), AuthorizationServer: "default", ClientID: "shop.storefront", User: "alice", UserUID: fmt.Sprint("user-", i/10),
				SessionID: fmt.Sprintf("%022d", i), Attempt: fmt.Sprintf("%032x", i), ExpiresAt: c.now.Add(time.Hour),
				Scopes: []string{strings.Clone("openid")}, Targets: []store.Target{{Resource: "https://orders.shop.svc", Scopes: []string{"orders.read"}}},
			}
			if err := s.Create(b.Context(), g, store.NoLimit); err != nil {
				b.Fatal(err)
			}
		}
		after := live()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/manyGrants, "B/grant")
		b.ReportMetric(float64(after.HeapObjects-before.HeapObjects)/manyGrants, "objects/grant")
		began := time.Now()
		runtime.GC()
		b.ReportMetric(float64(time.Since(began).Microseconds()), "us/GC")
		runtime.KeepAlive(s)
	}
}

func live() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}
