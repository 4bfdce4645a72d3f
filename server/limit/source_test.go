package limit

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

// Row: X-Forwarded-* spoofing: trustedProxies defines what a source address is.
func TestSourceSpoofing(t *testing.T) {
	source := SourceOf([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")})
	for _, c := range []struct {
		peer string
		hops []string
		want string
	}{
		{"203.0.113.9:1234", nil, "203.0.113.9"},
		{"203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"}, // whoever that is, it is no proxy of ours
		{"10.0.0.1:1234", nil, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[::ffff:10.0.0.1]:1234", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"[fd00::1]:1234", []string{"2001:db8::1"}, "2001:db8::1"},
		{"10.0.0.1:1234", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"}, // the client wrote the first
		{"10.0.0.1:1234", []string{"127.0.0.1", "198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:1234", []string{"nonsense, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:1234", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"198.51.100.1:40000"}, "198.51.100.1"},
		{"10.0.0.1:1234", []string{"[2001:db8::1]:40000"}, "2001:db8::1"},
		{"10.0.0.1:1234", []string{"[2001:db8::1]"}, "2001:db8::1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.hops
		if got := source(r).String(); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.peer, c.hops, got, c.want)
		}
	}
}

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":         "192.0.2.1/32",
		"::ffff:192.0.2.1":  "192.0.2.1/32",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64",
		"fe80::1%eth0":      "fe80::/64",
	} {
		if got := Network(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("network of %s: %s; want %s", address, got, want)
		}
	}
	if got := Network(netip.Addr{}); got.IsValid() {
		t.Errorf("network of nothing: %s", got)
	}
}
