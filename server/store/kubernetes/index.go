package kubernetes

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/server/store/lookup"
)

// entry is a value as some version of its object says. It never changes once it is in an index.
type entry[V any] struct {
	value *V
	// name, uid and version are those of the object.
	name    string
	uid     types.UID
	version string
	// usedUntil is until when the name must not be used again, should the object be deleted.
	usedUntil time.Time
	// node is where the value stands in the lookup.
	node *lookup.Node
}

// placeFunc tells a lookup that a value takes the place of the one at the node, or that nothing does.
type placeFunc[V any] func(at *lookup.Node, value *V)

// index is what the watch told of the objects of a kind. It is a cache.ReflectorStore: an object is converted once, when the
// watch brings it, and readers share the result without a lock.
//
// The results of our own writes are put here as well, ahead of the watch. Two rules keep the order of things: an
// entry is replaced by a newer version only, and a name is brought back only by a version newer than its deletion.
type index[V any, O client.Object] struct {
	now     func() time.Time
	convert func(O) *entry[V]
	place   placeFunc[V] // nil where values are found by name alone
	entries sync.Map     // name → *entry[V]
	synced  atomic.Bool
	heard   atomic.Int64 // when the watch was last alive, in Unix seconds

	mu      sync.Mutex // serializes writers
	burials burials
}

func newIndex[V any, O client.Object](now func() time.Time, convert func(O) *entry[V], place placeFunc[V]) *index[V, O] {
	return &index[V, O]{now: now, convert: convert, place: place, burials: newBurials(maxRemembered)}
}

// get returns the entry of the name, or nil.
func (x *index[V, O]) get(name string) *entry[V] {
	if e, ok := x.entries.Load(name); ok {
		return e.(*entry[V])
	}
	return nil
}

// all yields every value.
func (x *index[V, O]) all(yield func(*V) bool) {
	x.entries.Range(func(_, e any) bool { return yield(e.(*entry[V]).value) })
}

// buried says whether the name was deleted a short while ago.
func (x *index[V, O]) buried(name string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, ok := x.burials.get(name, x.now())
	return ok
}

// known says whether the name has been used, as far as this replica has seen.
func (x *index[V, O]) known(name string) bool { return x.get(name) != nil || x.buried(name) }

// put adds or replaces an entry unless something newer is known.
func (x *index[V, O]) put(e *entry[V]) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.putLocked(e)
}

func (x *index[V, O]) putLocked(e *entry[V]) {
	old := x.get(e.name)
	if old != nil && !newer(e.version, old.version) {
		return
	}
	if deleted, ok := x.burials.get(e.name, x.now()); ok && !newer(e.version, deleted) {
		return
	}
	e.node = x.replaced(old, e.value)
	x.entries.Store(e.name, e)
}

// replaced tells the lookup that the value takes the place of an entry, and where that is; either is nil where there is none.
func (x *index[V, O]) replaced(old *entry[V], value *V) *lookup.Node {
	if x.place == nil {
		return nil
	}
	node := &lookup.Node{}
	if old != nil {
		node = old.node
	}
	x.place(node, value)
	return node
}

// bury remembers a name as used although there is no object any more; version is that of the deletion.
func (x *index[V, O]) bury(name, version string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.burials.add(name, version, x.now())
}

// removeLocked takes an entry away that was gone at the version. What is over, and can't come back, need not be remembered: so a sweep
// of many leaves no trace.
func (x *index[V, O]) removeLocked(e *entry[V], version string) {
	old := x.get(e.name)
	if old != nil && newer(old.version, version) {
		return
	}
	x.replaced(old, nil)
	x.entries.Delete(e.name)
	if now := x.now(); now.Before(e.usedUntil) {
		x.burials.add(e.name, version, now)
	}
}

// entry converts what the watch brought.
func (x *index[V, O]) entry(object any) (*entry[V], error) {
	o, ok := object.(O)
	if !ok || o.GetName() == "" {
		return nil, fmt.Errorf("store/kubernetes: the watch brought a %T without a name, or of another kind", object)
	}
	return x.convert(o), nil
}

// Add implements cache.ReflectorStore.
func (x *index[V, O]) Add(object any) error {
	e, err := x.entry(object)
	if err != nil {
		return err
	}
	x.put(e)
	return nil
}

// Update implements cache.ReflectorStore.
func (x *index[V, O]) Update(object any) error { return x.Add(object) }

// Delete implements cache.ReflectorStore. The object has the version of its deletion.
func (x *index[V, O]) Delete(object any) error {
	e, err := x.entry(object)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.removeLocked(e, e.version)
	return nil
}

// Replace implements cache.ReflectorStore: list is what there was at the version. What is not in it was deleted while nobody
// watched, unless it is newer than the list.
func (x *index[V, O]) Replace(list []any, version string) error {
	entries := make(map[string]*entry[V], len(list))
	for _, object := range list {
		e, err := x.entry(object)
		if err != nil {
			return err
		}
		entries[e.name] = e
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.entries.Range(func(name, e any) bool {
		if entries[name.(string)] == nil {
			x.removeLocked(e.(*entry[V]), version)
		}
		return true
	})
	for _, e := range entries {
		x.putLocked(e)
	}
	x.touch()
	x.synced.Store(true)
	return nil
}

// Resync implements cache.ReflectorStore; there is nothing to do.
func (x *index[V, O]) Resync() error { return nil }

// UpdateResourceVersion implements cache.ResourceVersionUpdater: it is called for each event, bookmarks included.
func (x *index[V, O]) UpdateResourceVersion(string) { x.touch() }

func (x *index[V, O]) touch() { x.heard.Store(x.now().Unix()) }

// current says whether what the watch told can be taken for the truth.
func (x *index[V, O]) current() bool {
	return x.synced.Load() && x.now().Unix()-x.heard.Load() < int64(maxSilence/time.Second)
}

// newer compares resource versions. Where they can't be compared, what came last counts.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || order > 0
}
