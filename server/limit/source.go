// Package limit bounds what may happen how often, and at one time, by where it comes from and by which client it is of. All of it is kept
// in memory of a bounded size, by each replica for itself.
package limit

import (
	"net/http"
	"net/netip"
	"strings"
)

// SourceOf returns the function that tells where a request comes from: the peer's address, or, when the peer is a trusted
// proxy, the rightmost address of X-Forwarded-For that is not one. Nothing further left was written by a proxy we trust.
func SourceOf(trusted []netip.Prefix) func(*http.Request) netip.Addr {
	isTrusted := func(a netip.Addr) bool {
		for _, p := range trusted {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) netip.Addr {
		source := Peer(r)
		if !isTrusted(source) {
			return source
		}
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && isTrusted(source); i-- {
			hop, ok := parseHop(strings.TrimSpace(hops[i]))
			if !ok {
				break
			}
			source = hop
		}
		return source
	}
}

// Peer is the address of the other end of the request's connection; zero where it has none.
func Peer(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}

// parseHop reads an address, which some proxies write with the port, and some in brackets.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.Unmap(), true
	}
	a, err := netip.ParseAddrPort(s)
	return a.Addr().Unmap(), err == nil
}

// Network is what one subscriber has, and what limits go by: an IPv4 address, or the /64 of an IPv6 address. Everything that is no
// address is one network together.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	p, err := a.Prefix(min(a.BitLen(), 64))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
