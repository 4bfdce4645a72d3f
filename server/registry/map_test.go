package registry

import (
	"fmt"
	"maps"
	"testing"
)

func TestMapZero(t *testing.T) {
	var m Map[int]
	if _, ok := m.Get("a"); ok || m.Len() != 0 {
		t.Error("the zero Map is not empty")
	}
	for k := range m.All() {
		t.Errorf("the zero Map has %q", k)
	}
	if n := m.With(nil, "a", "b"); n.Len() != 0 {
		t.Errorf("removal from nothing leaves %d", n.Len())
	}
}

// TestMapAgainstBuiltin makes many random changes to a Map and to a Go map, and looks at every version again at the end: no
// later change may be seen in it.
func TestMapAgainstBuiltin(t *testing.T) {
	type version struct {
		m    Map[int]
		want map[string]int
	}
	var versions []version
	current, want := Map[int]{}, map[string]int{}
	state := uint32(1)
	next := func(n int) int { // a linear congruential generator, so that every run is the same
		state = state*1664525 + 1013904223
		return int(state>>16) % n
	}
	for i := range 200 {
		set, remove := map[string]int{}, []string(nil)
		for range next(20) {
			set[fmt.Sprintf("key-%d", next(300))] = i
		}
		for range next(10) {
			if k := fmt.Sprintf("key-%d", next(300)); !has(set, k) {
				remove = append(remove, k)
			}
		}
		want = maps.Clone(want)
		maps.Copy(want, set)
		for _, k := range remove {
			delete(want, k)
		}
		current = current.With(set, remove...)
		versions = append(versions, version{current, want})
	}
	for i, v := range versions {
		if got := maps.Collect(v.m.All()); !maps.Equal(got, v.want) || v.m.Len() != len(v.want) {
			t.Fatalf("version %d: %d entries (Len %d), want %d", i, len(got), v.m.Len(), len(v.want))
		}
		for k, want := range v.want {
			if got, ok := v.m.Get(k); !ok || got != want {
				t.Fatalf("version %d: Get(%q) = %d, %v, want %d", i, k, got, ok, want)
			}
		}
	}
}

func has(m map[string]int, k string) bool {
	_, ok := m[k]
	return ok
}

// TestMapReplaces: a key that is removed and set in one change is set.
func TestMapReplaces(t *testing.T) {
	m := Map[int]{}.With(map[string]int{"a": 1})
	m = m.With(map[string]int{"a": 2}, "a")
	if v, ok := m.Get("a"); !ok || v != 2 || m.Len() != 1 {
		t.Errorf("got %d, %v, Len %d", v, ok, m.Len())
	}
}

// TestMapShares: a change to one of many entries copies one shard.
func TestMapShares(t *testing.T) {
	set := map[string]int{}
	for i := range 10_000 {
		set[fmt.Sprint(i)] = i
	}
	m := Map[int]{}.With(set)
	n := m.With(map[string]int{"0": 1})
	copied := 0
	for i := range m.shards {
		if fmt.Sprintf("%p", m.shards[i]) != fmt.Sprintf("%p", n.shards[i]) {
			copied++
		}
	}
	if copied != 1 {
		t.Errorf("%d shards were copied, want 1", copied)
	}
}

func BenchmarkMapWith(b *testing.B) {
	set := map[string]int{}
	for i := range 100_000 {
		set[fmt.Sprint(i)] = i
	}
	m := Map[int]{}.With(set)
	one := map[string]int{"4711": 0}
	b.ReportAllocs()
	for b.Loop() {
		m = m.With(one)
	}
}
