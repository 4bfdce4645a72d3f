package logout

import "testing"

func TestSharesOfNamespaces(t *testing.T) {
	if n := NewNotifier(NotifierConfig{}); cap(n.pending) != 2000 || cap(n.deliveries) != 64 || n.shares.pending != 500 || n.shares.deliveries != 16 {
		t.Errorf("%d may wait and %d are under way, %d and %d of a namespace", cap(n.pending), cap(n.deliveries), n.shares.pending, n.shares.deliveries)
	}
	s := &shares{pending: 2, deliveries: 1, held: map[string]*share{}}
	slow, ok := s.enter("slow")
	if again, same := s.enter("slow"); !ok || !same || again != slow {
		t.Fatal("two notices of a namespace don't share")
	}
	if _, ok := s.enter("slow"); ok {
		t.Error("a namespace has more than its share")
	}
	slow.slots <- struct{}{} // its one delivery does not end
	other, ok := s.enter("other")
	if !ok {
		t.Fatal("another namespace finds no room")
	}
	select {
	case other.slots <- struct{}{}:
	default:
		t.Error("another namespace waits for the slow one")
	}
	s.leave("slow")
	if _, ok := s.enter("slow"); !ok {
		t.Error("room that was left is not given again")
	}
	s.leave("slow")
	s.leave("slow")
	s.leave("other")
	if len(s.held) != 0 {
		t.Errorf("%d shares are kept for nobody", len(s.held))
	}
}
