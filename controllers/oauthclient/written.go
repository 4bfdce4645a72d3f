package oauthclient

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// written remembers which version of a client's object the last write of its status made, until the cache has it. Until then there is
// nothing to see: another look, which the new Secret brings at once, would end in a write that is refused for the old version.
type written struct {
	mu       sync.Mutex
	versions map[types.NamespacedName]writtenVersion
}

type writtenVersion struct {
	version string
	at      time.Time
}

// pendingAtMost is how long the cache is waited for. It is milliseconds behind, unless etcd was restored and has gone back.
const pendingAtMost = 10 * time.Second

// note remembers that a write made this version of the object.
func (w *written) note(o client.Object, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]writtenVersion{}
	}
	w.versions[client.ObjectKeyFromObject(o)] = writtenVersion{o.GetResourceVersion(), now}
}

// pending says whether an object from the cache is older than what was written.
func (w *written) pending(o client.Object, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := client.ObjectKeyFromObject(o)
	last, ok := w.versions[key]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), last.version)
	if err == nil && order < 0 && now.Sub(last.at) < pendingAtMost {
		return true
	}
	delete(w.versions, key) // caught up, or not comparable
	return false
}

func (w *written) forget(client types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, client)
}
