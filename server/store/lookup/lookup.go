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
	mu sync.RWMutex
	// first is the first node of each list.
	first [ways]map[string]*Node
}

// Node is where a grant stands in an Index.
type Node struct {
	grant *store.Grant
	// next and previous are the neighbours among the grants of the same user, and of the same session.
	next, previous [ways]*Node
}

// Replace puts a grant in the place of another version of it, all at once: nobody finds both, or neither. old is nil for a grant
// that was not there before; g is nil, or revoked, for one that is not to be found any more. It returns what to pass as old the
// next time, nil when g is not in the index. Once here, a grant must not change.
func (x *Index) Replace(old *Node, g *store.Grant) *Node {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old != nil {
		x.unlink(old)
	}
	if g == nil || !g.RevokedAt.IsZero() {
		return nil
	}
	n := &Node{grant: g}
	x.link(n)
	return n
}

func (x *Index) link(n *Node) {
	for w := range ways {
		key := w.key(n.grant)
		if key == "" {
			continue
		}
		if x.first[w] == nil {
			x.first[w] = map[string]*Node{}
		}
		n.next[w] = x.first[w][key]
		if n.next[w] != nil {
			n.next[w].previous[w] = n
		}
		x.first[w][key] = n
	}
}

func (x *Index) unlink(n *Node) {
	for w := range ways {
		next, previous := n.next[w], n.previous[w]
		if next != nil {
			next.previous[w] = previous
		}
		switch key := w.key(n.grant); {
		case previous != nil:
			previous.next[w] = next
		case key != "" && next != nil:
			x.first[w][key] = next
		case key != "":
			delete(x.first[w], key)
		}
		n.next[w], n.previous[w] = nil, nil
	}
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
	for n := x.first[w][key]; n != nil; n = n.next[w] {
		if q.Matches(n.grant) {
			found = append(found, n.grant)
		}
	}
	return found, nil
}
