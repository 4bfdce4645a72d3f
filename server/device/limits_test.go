package device

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// What is just being written counts too, or a hundred at once would all find the same place free.
func TestQuotaCountsWhatIsBeingWritten(t *testing.T) {
	var q quota
	none := func() (int, error) { return 0, nil }
	var release func()
	for i := range maxPending {
		var err error
		if release, err = q.acquire("a", none); err != nil {
			t.Fatalf("place %d: %v", i, err)
		}
	}
	if _, err := q.acquire("a", none); !errors.Is(err, errQuota) {
		t.Errorf("one more: %v", err)
	}
	if _, err := q.acquire("b", none); err != nil {
		t.Errorf("another client: %v", err)
	}
	release()
	if _, err := q.acquire("a", func() (int, error) { return 1, nil }); !errors.Is(err, errQuota) {
		t.Errorf("after one was written: %v", err)
	}
	if _, err := q.acquire("a", none); err != nil {
		t.Errorf("after one was refused: %v", err)
	}
	unreadable := errors.New("unreadable")
	if _, err := q.acquire("b", func() (int, error) { return 0, unreadable }); !errors.Is(err, unreadable) {
		t.Errorf("when it is not known how many wait: %v", err)
	}
}

func TestSourcesAreNetworks(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newSources()
	for i := range sourceBurst {
		if _, ok := s.allow("a", netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), now); !ok { // addresses of one /64
			t.Fatalf("request %d", i)
		}
	}
	for name, tc := range map[string]struct {
		client, from string
		want         bool
	}{
		"another address of the network": {"a", "2001::ff", false},
		"with a zone":                    {"a", "2001::ff%eth0", false},
		"another network":                {"a", "2001:0:0:1::1", true},
		"another client":                 {"b", "2001::1", true},
		"IPv4":                           {"a", "192.0.2.1", true},
	} {
		if _, ok := s.allow(tc.client, netip.MustParseAddr(tc.from), now); ok != tc.want {
			t.Errorf("%s: %v", name, ok)
		}
	}
	if retry, ok := s.allow("a", netip.MustParseAddr("2001::1"), now.Add(sourceInterval/2)); ok || retry != sourceInterval/2 {
		t.Errorf("too early: %v, %v", retry, ok)
	}
	if _, ok := s.allow("a", netip.MustParseAddr("2001::1"), now.Add(sourceInterval)); !ok {
		t.Error("a refused request counts")
	}
	for range sourceBurst {
		s.allow("c", netip.Addr{}, now)
	}
	if _, ok := s.allow("c", netip.Addr{}, now); ok {
		t.Error("what has no address is not limited")
	}
}

// Row: anonymous flood: however many networks ask in the name of public clients, no more than there is room for are remembered.
func TestSourcesAreBounded(t *testing.T) {
	s := newSources()
	for i := range 2 * maxSources {
		s.allow("a", netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), time.Unix(1e9, 0))
	}
	if n := s.limits.Len(); n != maxSources {
		t.Errorf("%d networks are remembered", n)
	}
}
