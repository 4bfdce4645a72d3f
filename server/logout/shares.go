package logout

import "sync"

// shares divide what there is room for among namespaces, so that the slow URLs of one team delay nobody else's sign-outs.
type shares struct {
	// pending and deliveries bound one namespace's notices: those that are not delivered yet, and those under way.
	pending, deliveries int

	mu   sync.Mutex
	held map[string]*share
}

// share is what one namespace holds. It is there for as long as a notice is.
type share struct {
	pending int
	slots   chan struct{}
}

// enter makes room for a notice of the namespace; false when the namespace has no more. Who is in must leave.
func (s *shares) enter(namespace string) (*share, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.held[namespace]
	if held == nil {
		held = &share{slots: make(chan struct{}, s.deliveries)}
		s.held[namespace] = held
	}
	if held.pending >= s.pending {
		return nil, false
	}
	held.pending++
	return held, true
}

func (s *shares) leave(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.held[namespace]
	if held.pending--; held.pending == 0 {
		delete(s.held, namespace)
	}
}
