package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// probeInterval is how soon a service knows that a replica is ready, or is not any more.
const probeInterval = 50 * time.Millisecond

// service is an address before several replicas, as a Service of Kubernetes is: each connection goes to the next replica that is
// ready, and stays there. What travels over a connection is not looked at.
type service struct {
	// address is host:port.
	address   string
	listener  net.Listener
	endpoints []*endpoint
	next      atomic.Uint64
	running   sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// endpoint is a replica as the service sees it.
type endpoint struct {
	replica *replica
	address string
	ready   atomic.Bool
}

// newService starts a service at a port before the replicas, until the test ends.
func newService(t *testing.T, address string, replicas []*replica, port func(*replica) string) *service {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	must(t, err)
	s := &service{address: address, listener: listener, open: map[net.Conn]struct{}{}}
	ctx, stop := context.WithCancel(context.Background())
	for _, r := range replicas {
		e := &endpoint{replica: r, address: port(r)}
		s.endpoints = append(s.endpoints, e)
		s.running.Go(func() { e.probe(ctx) })
	}
	s.running.Go(func() { s.accept(ctx) })
	t.Cleanup(func() {
		stop()
		must(t, listener.Close())
		s.cut()
		s.running.Wait()
	})
	return s
}

// loopback is an address of the loopback interface that nobody listens at. Its port is below those that connections going out are given
// (32768 on Linux): a server that was killed is to find it free again.
func loopback(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000))
		if _, taken := addresses.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address); err == nil {
			must(t, l.Close())
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// addresses are those that were given away.
var addresses sync.Map

// probe follows whether the replica is ready.
func (e *endpoint) probe(ctx context.Context) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		ready, err := e.replica.ready(ctx)
		e.ready.Store(ready && err == nil)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *service) accept(ctx context.Context) {
	for {
		caller, err := s.listener.Accept()
		if err != nil {
			return // it is closed
		}
		s.running.Go(func() { s.forward(ctx, caller) })
	}
}

// forward joins a connection with one to a replica. Where there is none it is refused, as nearly as one can that is open.
func (s *service) forward(ctx context.Context, caller net.Conn) {
	e := s.choose()
	if e == nil {
		_ = caller.Close() // nobody is there
		return
	}
	replica, err := new(net.Dialer).DialContext(ctx, "tcp", e.address)
	if err != nil {
		_ = caller.Close() // it was there a moment ago
		return
	}
	if !s.keep(ctx, caller, replica) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { pass(replica, caller) })
	both.Go(func() { pass(caller, replica) })
	both.Wait()
	s.drop(caller, replica)
}

// choose is the next replica that is ready, or nil.
func (s *service) choose() *endpoint {
	first := s.next.Add(1)
	for i := range s.endpoints {
		if e := s.endpoints[(first+uint64(i))%uint64(len(s.endpoints))]; e.ready.Load() {
			return e
		}
	}
	return nil
}

// pass copies one direction and ends it at the other side as it ended at this one.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(*net.TCPConn)
	if err == nil && ok && half.CloseWrite() == nil {
		return
	}
	_ = errors.Join(to.Close(), from.Close()) // broken on one side, broken on both
}

func (s *service) keep(ctx context.Context, conns ...net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conns {
		if ctx.Err() != nil {
			_ = c.Close() // the service has ended
			continue
		}
		s.open[c] = struct{}{}
	}
	return ctx.Err() == nil
}

func (s *service) drop(conns ...net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conns {
		delete(s.open, c)
		_ = c.Close() // done with
	}
}

// cut breaks every connection.
func (s *service) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close() // it is to be broken
	}
}
