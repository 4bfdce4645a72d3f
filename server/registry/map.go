package registry

import (
	"hash/maphash"
	"iter"
	"maps"
)

// shards is how many parts a Map is copied in: a change to one entry of 100,000 copies about 100 of them.
const shards = 1024

// Map is an immutable map from strings, in shards that are copied when something in them changes. The zero Map is empty.
type Map[V any] struct {
	seed   maphash.Seed
	shards *[shards]map[string]V
	size   int
}

// Get returns the value for the key.
func (m Map[V]) Get(key string) (V, bool) {
	if m.shards == nil {
		var zero V
		return zero, false
	}
	v, ok := m.shards[m.shard(key)][key]
	return v, ok
}

// Len is the number of entries.
func (m Map[V]) Len() int { return m.size }

// All iterates over the entries in no particular order.
func (m Map[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if m.shards == nil {
			return
		}
		for _, shard := range m.shards {
			for k, v := range shard {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// With returns a Map in which the entries of set are added or replaced and the keys of remove are absent.
func (m Map[V]) With(set map[string]V, remove ...string) Map[V] {
	if len(set) == 0 && len(remove) == 0 {
		return m
	}
	next := m.fork()
	owned := map[uint64]bool{}
	own := func(key string) map[string]V {
		i := next.shard(key)
		if !owned[i] {
			owned[i] = true
			next.shards[i] = maps.Clone(next.shards[i])
			if next.shards[i] == nil {
				next.shards[i] = map[string]V{}
			}
		}
		return next.shards[i]
	}
	for _, key := range remove {
		shard := own(key)
		if _, ok := shard[key]; ok {
			delete(shard, key)
			next.size--
		}
	}
	for key, v := range set {
		shard := own(key)
		if _, ok := shard[key]; !ok {
			next.size++
		}
		shard[key] = v
	}
	return next
}

// fork copies the table of shards, not the shards.
func (m Map[V]) fork() Map[V] {
	if m.shards == nil {
		return Map[V]{seed: maphash.MakeSeed(), shards: new([shards]map[string]V)}
	}
	table := *m.shards
	return Map[V]{seed: m.seed, shards: &table, size: m.size}
}

func (m Map[V]) shard(key string) uint64 { return maphash.String(m.seed, key) % shards }
