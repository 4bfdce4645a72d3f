package valkey_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// lossy stands between a store and the real server, and breaks the connections on which certain requests are made.
type lossy struct {
	target string
	// word is what such a request contains; faults is how many are still to be broken.
	word   []byte
	faults atomic.Int64
	// deliver: the request arrives, and its answer does not.
	deliver bool
	seen    atomic.Int64

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

// cut breaks all connections, and lets none be made until mend.
func (l *lossy) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for _, c := range l.conns {
		_ = c.Close() // or the other side has
	}
	l.conns = nil
}

func (l *lossy) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// admit says whether a connection may be made.
func (l *lossy) admit(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	return !l.down
}

// listen returns the address that the store connects to.
func (l *lossy) listen(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go l.serve(client)
		}
	}()
	return listener.Addr().String()
}

func (l *lossy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	if !l.admit(client) {
		return
	}
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var lost atomic.Bool
	go func() {
		defer func() { _ = client.Close() }()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || lost.Load() {
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if l.word != nil && bytes.Contains(buffer[:n], l.word) {
			l.seen.Add(1)
			if l.faults.Add(-1) >= 0 {
				lost.Store(true)
				if !l.deliver {
					return
				}
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil || lost.Load() && l.drained(server) {
			return
		}
	}
}

// drained waits for the server to have answered: then it has done what was asked.
func (l *lossy) drained(server net.Conn) bool {
	_, _ = io.ReadAtLeast(server, make([]byte, 1), 1) // or the other reader has had it, and ended
	return true
}

// What changes while nobody is told is not believed once the connection is back.
func TestWhatWasMissedIsReadAgain(t *testing.T) {
	server, config := alone(t)
	l := &lossy{target: server.Address}
	s, other := open(t, valkey.Config{Addresses: []string{l.listen(t)}}), open(t, config)
	g := create(t, s)
	remember(t, s, g.ID)
	l.cut()
	if err := other.Revoke(t.Context(), g.ID, store.ReasonSignedOut, time.Now()); err != nil {
		t.Fatal(err)
	}
	l.mend()
	beganAt := time.Now()
	eventually(t, "the connection is back, and believed", func() bool { return time.Since(beganAt) > time.Second && s.Connected() })
	if got, err := s.Get(t.Context(), g.ID); err != nil || got.Alive(time.Now()) {
		t.Errorf("what was remembered before is believed: %+v, %v", got, err)
	}
}

func TestUnknownOutcomeIsDecidedByTheStoredAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		faults  int64
		deliver bool
		created bool
	}{
		"the answer is lost":    {faults: 1, deliver: true, created: true},
		"the request is lost":   {faults: 1, created: true},
		"two requests are lost": {faults: 2},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := alone(t)
			l := &lossy{target: server.Address, word: []byte("if current then return current end"), deliver: test.deliver}
			s := open(t, valkey.Config{Addresses: []string{l.listen(t)}})
			l.faults.Store(test.faults)
			g := storetest.NewGrant()
			err := s.Create(t.Context(), g, store.NoLimit)
			if (err == nil) != test.created || errors.Is(err, store.ErrExists) {
				t.Errorf("got %v", err)
			}
			if l.seen.Load() == 0 {
				t.Error("no request was broken")
			}
			if _, err := s.Get(t.Context(), g.ID); (err == nil) != test.created {
				t.Errorf("then Get: %v", err)
			}
		})
	}
}

func TestUnknownOutcomeOfASecondAttemptIsExists(t *testing.T) {
	server, config := alone(t)
	first := open(t, config)
	g := create(t, first)
	l := &lossy{target: server.Address, word: []byte("if current then return current end"), deliver: true}
	second := open(t, valkey.Config{Addresses: []string{l.listen(t)}})
	l.faults.Store(1)
	again := *g
	again.Attempt = "another"
	if err := second.Create(t.Context(), &again, store.NoLimit); !errors.Is(err, store.ErrExists) || l.seen.Load() == 0 {
		t.Errorf("got %v, %d requests were seen", err, l.seen.Load())
	}
}

// The generation that is there after an answer was lost may be this call's own doing or another's.
func TestUnknownOutcomeOfARotationIsConflict(t *testing.T) {
	for name, deliver := range map[string]bool{"the answer is lost": true, "the request is lost": false} {
		t.Run(name, func(t *testing.T) {
			server, _ := alone(t)
			l := &lossy{target: server.Address, word: []byte("if current ~= ARGV[5]"), deliver: deliver}
			s := open(t, valkey.Config{Addresses: []string{l.listen(t)}})
			g := create(t, s)
			l.faults.Store(1)
			got, err := s.Rotate(t.Context(), g.ID, 1, g.RotatedAt, g.ExpiresAt)
			if deliver != errors.Is(err, store.ErrConflict) || !deliver && err != nil || got == nil || got.Generation != 2 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
