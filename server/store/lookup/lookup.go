// Package lookup finds grants by their user and by their session, for stores that keep them in memory. What it costs to find some
// depends on how many grants that user or session has, and not on how many there are.
package lookup

import (
	"sync"

	"github.com/latchkey-io/latchkey/server/store"
)

// by is what grants are found by.
type by int

const (
	byUser by = iota
	bySession
	ways
)

// key is what a grant is found by in a way; empty when it isn't.
func (w by) key(g *store.Grant) string {
	if w == byUser {
		return g.UserUID
	}
	return g.SessionID
}

// Index is an index of grants that are not revoked. The zero Index is empty and ready; it is safe for concurrent use.
type Index struct {
	mu    sync.RWMutex
	lists [ways]map[string]list
}

// list is the grants of a user or of a session, the newest first.
type list struct {
	first *Node
	n     int
}

// Node is where a grant stands in an Index. The zero Node is that of a grant that isn't there.
type Node struct {
	grant *store.Grant
	// next and previous are the neighbours among the grants of the same user, and of the same session.
	next, previous [ways]*Node
}

// Replace puts a grant in the place of the one that is at the node, all at once: nobody finds both, or neither. g is nil, or revoked, for
// one that is not to be found any more. It must be nobody else's yet, and not change afterwards. What it has in common with the newest
// grant of the same user it holds together with that one: users grant the same clients the same things again and again.
func (x *Index) Replace(n *Node, g *store.Grant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if g != nil {
		if newest := x.lists[byUser][g.UserUID].first; newest != nil {
			g.Share(newest.grant)
		}
	}
	if n.grant != nil {
		x.unlink(n)
	}
	if g != nil && g.RevokedAt.IsZero() {
		n.grant = g
		x.link(n)
	}
}

func (x *Index) link(n *Node) {
	for w := range ways {
		key := w.key(n.grant)
		if key == "" {
			continue
		}
		if x.lists[w] == nil {
			x.lists[w] = map[string]list{}
		}
		l := x.lists[w][key]
		n.next[w] = l.first
		if l.first != nil {
			l.first.previous[w] = n
		}
		x.lists[w][key] = list{n, l.n + 1}
	}
}

func (x *Index) unlink(n *Node) {
	for w := range ways {
		key := w.key(n.grant)
		if key == "" {
			continue
		}
		l, next, previous := x.lists[w][key], n.next[w], n.previous[w]
		if l.n--; l.n == 0 {
			delete(x.lists[w], key)
			continue
		}
		if next != nil {
			next.previous[w] = previous
		}
		if previous != nil {
			previous.next[w] = next
		} else {
			l.first = next
		}
		x.lists[w][key] = l
	}
	*n = Node{}
}

// Count returns how many grants of the user are in the index.
func (x *Index) Count(userUID string) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.lists[byUser][userUID].n
}

// Find returns the grants that match the query; an error when the query is not a valid one.
func (x *Index) Find(q store.Query) ([]*store.Grant, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	w, key := bySession, q.SessionID
	if key == "" {
		w, key = byUser, q.UserUID
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []*store.Grant
	for n := x.lists[w][key].first; n != nil; n = n.next[w] {
		if q.Matches(n.grant) {
			found = append(found, n.grant)
		}
	}
	return found, nil
}
