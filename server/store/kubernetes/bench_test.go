package kubernetes

import (
	"fmt"
	"testing"
	"time"
)

// manyGrants is as many as a busy site has alive.
const manyGrants = 100_000

// filledStore is a Store that the watch has told of many grants; it has no client, because nothing here may need one.
func filledStore(b *testing.B) *Store {
	s := &Store{index: newIndex(time.Now)}
	list := make([]any, manyGrants)
	for i := range list {
		list[i] = object(fmt.Sprintf("g%d", i), fmt.Sprint(i+1), false)
	}
	if err := s.index.Replace(list, fmt.Sprint(manyGrants)); err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	s := filledStore(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Get(b.Context(), "g77777"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkWatchEvent(b *testing.B) {
	s := filledStore(b)
	o := object("new", "1", false)
	b.ReportAllocs()
	version := manyGrants
	for b.Loop() {
		version++
		o.ResourceVersion = fmt.Sprint(version)
		if err := s.index.Update(o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	s := filledStore(b)
	list := make([]any, manyGrants)
	for i := range list {
		list[i] = object(fmt.Sprintf("g%d", i), fmt.Sprint(i+1), false)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.index.Replace(list, fmt.Sprint(manyGrants)); err != nil {
			b.Fatal(err)
		}
	}
}
