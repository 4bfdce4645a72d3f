package listen_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/latchkey-io/latchkey/server/listen"
)

// hurried is a listener whose limits are those of all, but for times that are over at once.
func hurried(t *testing.T, l listen.Listener) (address string) {
	t.Helper()
	return startedWith(t, l, func(s *http.Server) {
		s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = shorter(s.ReadHeaderTimeout), shorter(s.ReadTimeout), shorter(s.WriteTimeout), shorter(s.IdleTimeout)
	})
}

// shorter is a hundredth of a time; none stays none.
func shorter(d time.Duration) time.Duration { return d / 100 }

// wantEnd sees that the other end closes a connection, whatever it says before.
func wantEnd(t *testing.T, c net.Conn) (said string) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c)
	if isTimeout(err) {
		t.Error("the connection is held")
	}
	return string(text)
}

func say(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// withTLS is a listener's configuration with a certificate of its own.
func withTLS(t *testing.T) *tls.Config {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	certificate := s.TLS.Certificates[0]
	return listen.TLSConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil })
}

// reads answers when it has read the body.
func reads(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// Row: slow clients: who stops in the middle of whatever it has begun does not hold its connection.
func TestSlowClientsAreClosed(t *testing.T) {
	plain, sealed := hurried(t, listen.Listener{Handler: http.HandlerFunc(reads)}), hurried(t, listen.Listener{Handler: http.HandlerFunc(reads), TLS: withTLS(t)})
	hello := []byte{0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00} // the begin of a ClientHello (RFC 8446 §4.1.2)
	for name, test := range map[string]struct{ address, text string }{
		"nothing":                    {plain, ""},
		"a line":                     {plain, "POST / HTTP/1.1\r\n"},
		"a header":                   {plain, "POST / HTTP/1.1\r\nHost: te"},
		"a body":                     {plain, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf"},
		"a chunk":                    {plain, "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf"},
		"an answer, and nothing new": {plain, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"},
		"no handshake":               {sealed, ""},
		"a handshake":                {sealed, string(hello)},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, "127.0.0.1", test.address)
			_, _ = io.WriteString(c, test.text) // on a slow machine it may be closed by now
			wantEnd(t, c)
		})
	}
}

// Row: slow clients: of an answer that nobody reads, the handler's writing ends.
func TestAnswersThatNobodyReadsEnd(t *testing.T) {
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page := bytes.Repeat([]byte("x"), 1<<20)
		for range 1 << 10 { // more than what any two sockets hold
			if _, err := w.Write(page); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	})
	address := startedWith(t, listen.Listener{Handler: handler}, func(s *http.Server) { s.WriteTimeout = shorter(s.WriteTimeout) })
	say(t, dial(t, "127.0.0.1", address), "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	if err := <-ended; err == nil {
		t.Error("a GiB went to somebody who reads nothing")
	}
}

// Row: oversized input.
func TestHeadersAreBounded(t *testing.T) {
	address := started(t, listen.Listener{Handler: http.NotFoundHandler()})
	for name, test := range map[string]struct{ head, status string }{
		"a header":           {"GET / HTTP/1.1\r\nHost: test\r\nCookie: " + strings.Repeat("x", 64<<10), "431"},
		"a line":             {"GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: test", "431"},
		"many headers":       {"GET / HTTP/1.1\r\nHost: test" + strings.Repeat("\r\nA: b", 16<<10), "431"},
		"what there is room": {"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nCookie: " + strings.Repeat("x", 24<<10), "404"},
	} {
		c := dial(t, "127.0.0.1", address)
		say(t, c, test.head+"\r\n\r\n")
		if said := wantEnd(t, c); !strings.HasPrefix(said, "HTTP/1.1 "+test.status) {
			t.Errorf("%s: %.80q", name, said)
		}
	}
}

// peer is the other end of an HTTP/2 connection, frame by frame.
type peer struct {
	*http2.Framer
	t *testing.T
}

// dialHTTP2 opens a connection and says what every client says first (RFC 9113 §3.4).
func dialHTTP2(t *testing.T, address string) (peer, net.Conn) {
	t.Helper()
	c := tls.Client(dial(t, "127.0.0.1", address), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	say(t, c, http2.ClientPreface)
	p := peer{http2.NewFramer(c, c), t}
	p.wrote(p.WriteSettings())
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return p, c
}

func (p peer) wrote(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// ask opens a stream with a request.
func (p peer) ask(stream uint32) {
	p.t.Helper()
	var head bytes.Buffer
	e := hpack.NewEncoder(&head)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "test"}, {Name: ":path", Value: "/"}} {
		p.wrote(e.WriteField(f))
	}
	p.wrote(p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true}))
}

// reset reads until a stream is refused.
func (p peer) reset() (stream uint32, code http2.ErrCode, err error) {
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			return 0, 0, fmt.Errorf("no stream is refused: %w", err)
		}
		if r, ok := frame.(*http2.RSTStreamFrame); ok {
			return r.StreamID, r.ErrCode, nil
		}
	}
}

// Row: anonymous flood: a connection has so many requests under way, and each one more is refused.
func TestStreamsAreBounded(t *testing.T) {
	done := make(chan struct{})
	address := started(t, listen.Listener{TLS: withTLS(t), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done })})
	defer close(done)
	p, _ := dialHTTP2(t, address)
	const most = 250
	for i := range uint32(most + 1) {
		p.ask(2*i + 1)
	}
	stream, code, err := p.reset()
	if err != nil || stream != 2*most+1 || (code != http2.ErrCodeRefusedStream && code != http2.ErrCodeProtocol) {
		t.Errorf("stream %d: %s, %v; want %d to be refused", stream, code, err, 2*most+1)
	}
}

// Row: slow clients, by HTTP/2.
func TestSlowHTTP2ClientsAreClosed(t *testing.T) {
	address := startedWith(t, listen.Listener{TLS: withTLS(t), Handler: http.HandlerFunc(reads)}, func(s *http.Server) { s.IdleTimeout = shorter(s.IdleTimeout) })
	_, idle := dialHTTP2(t, address)
	wantEnd(t, idle)
	half, c := dialHTTP2(t, address)
	half.wrote(half.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}, EndStream: true})) // and no CONTINUATION
	wantEnd(t, c)
}
