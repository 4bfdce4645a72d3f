package limit

import (
	"net/netip"
	"sync"
)

// Shares are places that are held for a while, such as connections: a number of them in all, and fewer for any one network, so that
// one which takes all that it can get leaves some for the others.
type Shares struct {
	total, ofOne int

	mu   sync.Mutex
	held int
	by   map[netip.Prefix]int // those who hold one, and so no more than total
}

// NewShares makes Shares of total places, a half of which one network may hold. With total 0 there is no limit.
func NewShares(total int) *Shares {
	return &Shares{total: total, ofOne: max(total/2, 1), by: map[netip.Prefix]int{}}
}

// Enter takes a place for the network; false when there is none. Who is in must Leave. One that is not counted by its network, for
// it stands for many, takes a place all the same.
func (s *Shares) Enter(network netip.Prefix, counted bool) bool {
	if s.total == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held >= s.total || counted && s.by[network] >= s.ofOne {
		return false
	}
	s.held++
	if counted {
		s.by[network]++
	}
	return true
}

// Leave gives a place back that was taken with the same arguments.
func (s *Shares) Leave(network netip.Prefix, counted bool) {
	if s.total == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	if !counted {
		return
	}
	if s.by[network]--; s.by[network] == 0 {
		delete(s.by, network)
	}
}
