package clientauth

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Bounds on the assertions that are remembered: of all clients, of those of one namespace, and of one, so that one client leaves room
// for the others, and one team, which may have any number of clients, for other teams.
const (
	maxSeen            = 500_000
	maxSeenOfNamespace = maxSeen / 4
	maxSeenOfClient    = 20_000
)

var (
	errSeen    = errors.New("clientauth: the assertion's jti was used before")
	errTooMany = errors.New("clientauth: too many assertions to remember")
)

// assertionIDs remembers the ids of assertions until these expire (RFC 7523 section 3, item 7), in the memory of this replica. What
// can't be remembered is refused. Ids are those of assertions whose signature was verified, so that only clients fill it.
type assertionIDs struct {
	max, maxOfNamespace, maxOfClient int

	mu   sync.Mutex
	seen map[assertionID]struct{}
	// ofNamespace and ofClient count those that are in seen.
	ofNamespace, ofClient map[string]int
	// byMinute holds what expires in a minute (Unix time / 60), for it to be forgotten together after that.
	byMinute map[int64][]assertionID
	// forgotten is the minute up to which all is forgotten, exclusively.
	forgotten int64
}

type assertionID struct {
	signer
	digest [16]byte
}

// signer is a client that signs assertions, by its UID.
type signer struct{ namespace, client string }

func newAssertionIDs(limit, limitOfNamespace, limitOfClient int) *assertionIDs {
	return &assertionIDs{
		max: limit, maxOfNamespace: limitOfNamespace, maxOfClient: limitOfClient,
		seen: map[assertionID]struct{}{}, ofNamespace: map[string]int{}, ofClient: map[string]int{}, byMinute: map[int64][]assertionID{},
	}
}

// use remembers the id of a client's assertion, which expires at exp. errSeen when it is known already, errTooMany when there is no
// room.
func (s *assertionIDs) use(by signer, id string, exp, now time.Time) error {
	sum := sha256.Sum256([]byte(id))
	key := assertionID{signer: by, digest: [16]byte(sum[:16])}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	if _, ok := s.seen[key]; ok {
		return errSeen
	}
	if len(s.seen) >= s.max || s.ofNamespace[by.namespace] >= s.maxOfNamespace || s.ofClient[by.client] >= s.maxOfClient {
		return errTooMany
	}
	s.seen[key] = struct{}{}
	s.ofNamespace[by.namespace]++
	s.ofClient[by.client]++
	minute := exp.Unix() / 60
	s.byMinute[minute] = append(s.byMinute[minute], key)
	return nil
}

// forget drops what expired in minutes that are over.
func (s *assertionIDs) forget(now time.Time) {
	current := now.Unix() / 60
	if current <= s.forgotten {
		return
	}
	for minute, keys := range s.byMinute { // some sixty: assertions expire within the hour
		if minute >= current {
			continue
		}
		for _, key := range keys {
			delete(s.seen, key)
			uncount(s.ofNamespace, key.namespace)
			uncount(s.ofClient, key.client)
		}
		delete(s.byMinute, minute)
	}
	s.forgotten = current
}

// uncount takes one away, and keeps nothing of what there is none of.
func uncount(counts map[string]int, of string) {
	if counts[of]--; counts[of] == 0 {
		delete(counts, of)
	}
}
