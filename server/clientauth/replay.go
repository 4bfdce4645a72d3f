package clientauth

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Bounds on the assertions that are remembered: of all clients, and of one, so that one client leaves room for the others.
const (
	maxSeen         = 500_000
	maxSeenOfClient = 20_000
)

var (
	errSeen    = errors.New("clientauth: the assertion's jti was used before")
	errTooMany = errors.New("clientauth: too many assertions to remember")
)

// assertionIDs remembers the ids of assertions until these expire (RFC 7523 section 3, item 7), in the memory of this replica. What
// can't be remembered is refused. Ids are those of assertions whose signature was verified, so that only clients fill it.
type assertionIDs struct {
	max, maxOfClient int

	mu       sync.Mutex
	seen     map[assertionID]struct{}
	ofClient map[string]int
	// byMinute holds what expires in a minute (Unix time / 60), for it to be forgotten together after that.
	byMinute map[int64][]assertionID
	// forgotten is the minute up to which all is forgotten, exclusively.
	forgotten int64
}

type assertionID struct {
	client string // UID
	digest [16]byte
}

func newAssertionIDs(limit, limitOfClient int) *assertionIDs {
	return &assertionIDs{
		max: limit, maxOfClient: limitOfClient,
		seen: map[assertionID]struct{}{}, ofClient: map[string]int{}, byMinute: map[int64][]assertionID{},
	}
}

// use remembers the id of a client's assertion, which expires at exp. errSeen when it is known already, errTooMany when there is no
// room.
func (s *assertionIDs) use(clientUID, id string, exp, now time.Time) error {
	sum := sha256.Sum256([]byte(id))
	key := assertionID{client: clientUID, digest: [16]byte(sum[:16])}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	if _, ok := s.seen[key]; ok {
		return errSeen
	}
	if len(s.seen) >= s.max || s.ofClient[clientUID] >= s.maxOfClient {
		return errTooMany
	}
	s.seen[key] = struct{}{}
	s.ofClient[clientUID]++
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
			if s.ofClient[key.client]--; s.ofClient[key.client] == 0 {
				delete(s.ofClient, key.client)
			}
		}
		delete(s.byMinute, minute)
	}
	s.forgotten = current
}
