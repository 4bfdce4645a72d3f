package memory

import (
	"fmt"
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
		if err := s.Create(b.Context(), g); err != nil {
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
