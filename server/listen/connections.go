package listen

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/oauth"
)

// connections is a net.Listener with a bound on the connections that are open. What golang.org/x/net/netutil.LimitListener has wait,
// this one closes: connections that wait to be accepted are as good as refused to whoever opens them, and those of one network
// alone would keep all others waiting.
type connections struct {
	net.Listener
	shares  *limit.Shares
	trusted []netip.Prefix
}

// Accept waits for a connection that there is room for.
func (l *connections) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		network, counted := l.peer(c.RemoteAddr())
		if l.shares.Enter(network, counted) {
			return &connection{Conn: c, leave: func() { l.shares.Leave(network, counted) }}, nil
		}
		_ = c.Close() // nothing was read or written
	}
}

// peer is the network of the other side. Proxies that are trusted stand for many, and are not counted.
func (l *connections) peer(a net.Addr) (network netip.Prefix, counted bool) {
	peer, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}, true
	}
	addr := peer.Addr().Unmap()
	proxy := slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
	return limit.Network(addr), !proxy
}

// connection leaves its place when it is closed, once.
type connection struct {
	net.Conn
	leave func()
	once  sync.Once
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}

// underWay bounds the requests that are being answered at one time. More of them would wait for processors in memory; they are told
// at once to come back.
func underWay(requests int, trusted []netip.Prefix, next http.Handler) http.Handler {
	shares, source := limit.NewShares(requests), limit.SourceOf(trusted)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		network := limit.Network(source(r))
		if !shares.Enter(network, true) {
			w.Header().Set("Retry-After", "1")
			e := oauth.Errorf(oauth.TemporarilyUnavailable, "the server is busy; try again in a moment")
			_ = oauth.WriteError(w, r, e) // the other side is gone
			return
		}
		defer shares.Leave(network, true)
		next.ServeHTTP(w, r)
	})
}
