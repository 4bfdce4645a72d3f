package outbound_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/latchkey-io/latchkey/server/outbound"
)

// nameserver answers every question for an IPv4 address with the addresses of now.
type nameserver struct {
	mu        sync.Mutex
	addresses []netip.Addr
	conn      net.PacketConn
}

func newNameserver(t *testing.T) *nameserver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameserver{conn: conn}
	t.Cleanup(func() { _ = conn.Close() })
	go n.serve()
	return n
}

func (n *nameserver) set(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = nil
	for _, a := range addresses {
		n.addresses = append(n.addresses, netip.MustParseAddr(a))
	}
}

func (n *nameserver) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

func (n *nameserver) serve() {
	buf := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(buf[:size]) != nil || len(query.Questions) != 1 {
			continue
		}
		if packed, err := n.answer(query).Pack(); err == nil {
			_, _ = n.conn.WriteTo(packed, from)
		}
	}
}

func (n *nameserver) answer(query dnsmessage.Message) *dnsmessage.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	question := query.Questions[0]
	reply := &dnsmessage.Message{Header: dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: query.Questions}
	for _, a := range n.addresses {
		header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}
		switch {
		case question.Type == dnsmessage.TypeA && a.Is4():
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case question.Type == dnsmessage.TypeAAAA && a.Is6():
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return reply
}

// Security: SSRF: rebinding. The name means an allowed address when it is looked at first, and another one afterwards.
func TestSSRFRebinding(t *testing.T) {
	s := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // the next request looks the name up again
		hello(w, r)
	})
	names := newNameserver(t)
	client := outbound.New(outbound.Config{
		AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, RootCAs: s.roots(), Resolver: names.resolver(),
	})
	url := "https://example.com:" + s.port() + "/" // the certificate's name
	names.set("127.0.0.1")
	if _, body, err := get(t, client, url); err != nil || body != "hello" {
		t.Fatalf("%q %v", body, err)
	}
	for _, address := range []string{"127.0.0.2", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.2", "64:ff9b::7f00:1", "fd00::1"} {
		names.set(address)
		if _, _, err := get(t, client, url); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: %v", address, err)
		}
	}
	names.set("127.0.0.2", "127.0.0.3", "::1")
	if _, _, err := get(t, client, url); !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("several addresses: %v", err)
	}
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests came through", n)
	}
}
