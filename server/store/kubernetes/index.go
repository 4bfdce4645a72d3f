package kubernetes

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store/lookup"
)

// index is what the watch told of the grants. It is the cache.ReflectorStore of the Store: an object is converted once, when
// the watch brings it, and readers share the result without a lock.
//
// The results of our own writes are put here as well, ahead of the watch. Two rules keep the order of things: an
// entry is replaced by a newer version only, and an id is brought back only by a version newer than its deletion.
type index struct {
	now     func() time.Time
	entries sync.Map // id → *entry
	synced  atomic.Bool
	heard   atomic.Int64 // when the watch was last alive, in Unix seconds

	lookup lookup.Index

	mu      sync.Mutex // serializes writers
	burials burials
}

func newIndex(now func() time.Time) *index {
	return &index{now: now, burials: newBurials(maxRemembered)}
}

// get returns the entry for the id, or nil.
func (x *index) get(id string) *entry {
	if e, ok := x.entries.Load(id); ok {
		return e.(*entry)
	}
	return nil
}

// buried says whether the id was deleted a short while ago.
func (x *index) buried(id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, ok := x.burials.get(id, x.now())
	return ok
}

// known says whether the id has been used, as far as this replica has seen.
func (x *index) known(id string) bool { return x.get(id) != nil || x.buried(id) }

// put adds or replaces an entry unless something newer is known.
func (x *index) put(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.putLocked(e)
}

func (x *index) putLocked(e *entry) {
	old := x.get(e.grant.ID)
	if old != nil && !newer(e.version, old.version) {
		return
	}
	if deleted, ok := x.burials.get(e.grant.ID, x.now()); ok && !newer(e.version, deleted) {
		return
	}
	e.node = x.lookup.Replace(old.place(), e.grant)
	x.entries.Store(e.grant.ID, e)
}

// bury remembers an id as used although there is no object any more; version is that of the deletion.
func (x *index) bury(id, version string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.burials.add(id, version, x.now())
}

// removeLocked takes an entry away that was gone at the version. A grant that is both expired and older than any code need not be
// remembered: so a sweep of many leaves no trace.
func (x *index) removeLocked(e *entry, version string) {
	old := x.get(e.grant.ID)
	if old != nil && newer(old.version, version) {
		return
	}
	x.lookup.Replace(old.place(), nil)
	x.entries.Delete(e.grant.ID)
	now := x.now()
	if now.Before(e.grant.ExpiresAt) || now.Before(e.created.Add(remembered)) {
		x.burials.add(e.grant.ID, version, now)
	}
}

// Add implements cache.ReflectorStore.
func (x *index) Add(object any) error {
	o, err := asGrant(object)
	if err != nil {
		return err
	}
	x.put(newEntry(o))
	return nil
}

// Update implements cache.ReflectorStore.
func (x *index) Update(object any) error { return x.Add(object) }

// Delete implements cache.ReflectorStore. The object has the version of its deletion.
func (x *index) Delete(object any) error {
	o, err := asGrant(object)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.removeLocked(newEntry(o), o.ResourceVersion)
	return nil
}

// Replace implements cache.ReflectorStore: list is what there was at the version. What is not in it was deleted while nobody
// watched, unless it is newer than the list.
func (x *index) Replace(list []any, version string) error {
	entries := make(map[string]*entry, len(list))
	for _, object := range list {
		o, err := asGrant(object)
		if err != nil {
			return err
		}
		entries[o.Name] = newEntry(o)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.entries.Range(func(id, e any) bool {
		if entries[id.(string)] == nil {
			x.removeLocked(e.(*entry), version)
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
func (x *index) Resync() error { return nil }

// UpdateResourceVersion implements cache.ResourceVersionUpdater: it is called for each event, bookmarks included.
func (x *index) UpdateResourceVersion(string) { x.touch() }

func (x *index) touch() { x.heard.Store(x.now().Unix()) }

func (x *index) current() bool {
	return x.synced.Load() && x.now().Unix()-x.heard.Load() < int64(maxSilence/time.Second)
}

// newer compares resource versions. Where they can't be compared, what came last counts.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || order > 0
}

func asGrant(object any) (*v1alpha1.OAuthGrant, error) {
	o, ok := object.(*v1alpha1.OAuthGrant)
	if !ok {
		return nil, fmt.Errorf("store/kubernetes: the watch brought a %T", object)
	}
	if o.Name == "" {
		return nil, errors.New("store/kubernetes: the watch brought a grant without a name")
	}
	return o, nil
}
