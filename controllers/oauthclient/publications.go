package oauthclient

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// publications remembers since when the digest of a client's next secret has been seen in status. A controller that starts, or
// becomes the leader, knows of none and waits anew: a rotation is later by that, and never too early.
type publications struct {
	mu   sync.Mutex
	seen map[types.NamespacedName]publication
}

type publication struct {
	id    string
	since time.Time
}

// since is when the digest of the secret with the id was first seen, now if that is this very moment.
func (p *publications) since(client types.NamespacedName, id string, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.seen[client]; ok && known.id == id {
		return known.since
	}
	if p.seen == nil {
		p.seen = map[types.NamespacedName]publication{}
	}
	p.seen[client] = publication{id, now}
	return now
}

func (p *publications) forget(client types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.seen, client)
}
