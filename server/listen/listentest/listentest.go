// Package listentest has the worst of clients call at a listener: those that are slow, that send too much, and that read nothing. Every
// listener of every process is to bear them.
package listentest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/listen"
)

const (
	// short is a listener's patience where a test waits for its end; long is what it has for all else.
	short, long = time.Second, time.Hour
	// patience is how long a test waits, on a busy machine too.
	patience = 2 * time.Minute
	// dripEvery is how often a slow client sends a little, so as not to seem idle.
	dripEvery = 100 * time.Millisecond
	// readBuffer is that of a client which reads nothing, in bytes.
	readBuffer = 4 << 10
	// maxTaken bounds what is taken of a body that nobody wants, in bytes: it is mostly the sockets' buffers.
	maxTaken = 16 << 20
)

// Target is a listener that is called at, on a free port of the loopback interface, as the server that listen.NewServer makes of it.
type Target struct {
	listen.Listener
	// Trust verifies its certificate, which is for 127.0.0.1; nil for plain http.
	Trust *x509.CertPool
	// Path answers GET, and reads the body of POST if any path does.
	Path string
}

// Run calls at the target in every way that there is.
func Run(t *testing.T, target Target) {
	t.Helper()
	target.Address = "127.0.0.1:0"
	tests := map[string]func(Target, *testing.T){
		"headers that never end":    Target.slowHeaders,
		"a body that never ends":    Target.slowBody,
		"headers that are too long": Target.longHeaders,
		"a body that is too long":   Target.longBody,
		"answers that nobody reads": Target.unreadAnswers,
		"a connection that is idle": Target.idle,
	}
	if target.Trust != nil {
		tests["a handshake that never ends"] = Target.slowHandshake
		tests["HTTP/2, headers that never end"] = Target.slowHeaders2
		tests["HTTP/2, a body that never ends"] = Target.slowBody2
		tests["HTTP/2, headers that are too long"] = Target.longHeaders2
		tests["HTTP/2, an answer that there is no window for"] = Target.blockedAnswer2
		tests["HTTP/2, answers that nobody reads"] = Target.unreadAnswers2
		tests["HTTP/2, a connection that is idle"] = Target.idle2
		tests["HTTP/2, more streams than there are"] = Target.streams2
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(target, t) })
	}
}

// start serves until the test ends.
func (g Target) start(t *testing.T, change func(*http.Server)) (address string) {
	t.Helper()
	socket, err := listen.Open(t.Context(), g.Listener)
	if err != nil {
		t.Fatal(err)
	}
	g.TLS = g.TLS.Clone() // which http.Server configures further
	s := listen.NewServer(g.Listener, slog.New(slog.DiscardHandler))
	change(s)
	go func() { // until Close
		if g.TLS == nil {
			_ = s.Serve(socket)
			return
		}
		_ = s.ServeTLS(socket, "", "")
	}()
	t.Cleanup(func() { _ = s.Close() })
	return socket.Addr().String()
}

// asItIs changes nothing.
func asItIs(*http.Server) {}

// only has one limit of a server on time be short, and all others long. A limit that there isn't is none still.
func only(limit func(*http.Server) *time.Duration) func(*http.Server) {
	return func(s *http.Server) {
		own := *limit(s)
		for _, other := range []*time.Duration{&s.ReadHeaderTimeout, &s.ReadTimeout, &s.WriteTimeout, &s.IdleTimeout, &s.HTTP2.WriteByteTimeout} {
			*other = long
		}
		*limit(s) = min(own, short)
	}
}

func headerTime(s *http.Server) *time.Duration { return &s.ReadHeaderTimeout }
func bodyTime(s *http.Server) *time.Duration   { return &s.ReadTimeout }
func answerTime(s *http.Server) *time.Duration { return &s.WriteTimeout }
func idleTime(s *http.Server) *time.Duration   { return &s.IdleTimeout }
func byteTime(s *http.Server) *time.Duration   { return &s.HTTP2.WriteByteTimeout }

// connect opens a connection without TLS, on which nothing may take longer than a test waits.
func connect(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// dial opens a connection for the protocol, with TLS if there is any.
func (g Target) dial(t *testing.T, address, protocol string) (c net.Conn, socket *net.TCPConn) {
	t.Helper()
	if g.Trust == nil {
		socket = connect(t, address)
		return socket, socket
	}
	config := &tls.Config{RootCAs: g.Trust, ServerName: "127.0.0.1", NextProtos: []string{protocol}, MinVersion: tls.VersionTLS12}
	for deadline := time.Now().Add(patience); ; { // a busy machine may take longer than a short limit
		socket = connect(t, address)
		over := tls.Client(socket, config)
		err := over.HandshakeContext(t.Context())
		if err == nil {
			return over, socket
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func send(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// drip does something now and then until it fails.
func drip(t *testing.T, once func() error) (failed <-chan error) {
	result := make(chan error, 1)
	go func() {
		tick := time.NewTicker(dripEvery)
		defer tick.Stop()
		for {
			select {
			case <-t.Context().Done():
				return
			case <-tick.C:
			}
			if err := once(); err != nil {
				result <- err
				return
			}
		}
	}()
	return result
}

func dripText(t *testing.T, c io.Writer, text string) {
	drip(t, func() error { _, err := io.WriteString(c, text); return err })
}

// isEnded reads to the end of a connection, which comes.
func isEnded(t *testing.T, c io.Reader) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); isTimeout(err) {
		t.Error("it holds its connection")
	}
}

func isTimeout(err error) bool {
	ne := net.Error(nil)
	return errors.As(err, &ne) && ne.Timeout()
}

func (g Target) slowHandshake(t *testing.T) {
	c := connect(t, g.start(t, only(headerTime)))
	send(t, c, "\x16\x03\x01\x40\x00") // a record of 16 KiB
	dripText(t, c, "\x01")
	isEnded(t, c)
}

func (g Target) slowHeaders(t *testing.T) {
	c, _ := g.dial(t, g.start(t, only(headerTime)), "http/1.1")
	send(t, c, "GET "+g.Path+" HTTP/1.1\r\nHost: test\r\n")
	dripText(t, c, "X: y\r\n")
	isEnded(t, c)
}

func (g Target) slowBody(t *testing.T) {
	c, _ := g.dial(t, g.start(t, only(bodyTime)), "http/1.1")
	send(t, c, g.post("Content-Length: 60000"))
	dripText(t, c, "x")
	isEnded(t, c)
}

func (g Target) post(header string) string {
	return "POST " + g.Path + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-www-form-urlencoded\r\n" + header + "\r\n\r\n"
}

func (g Target) longHeaders(t *testing.T) {
	c, _ := g.dial(t, g.start(t, asItIs), "http/1.1")
	go func() { // the listener doesn't wait for all of it
		_, _ = io.WriteString(c, "GET "+g.Path+" HTTP/1.1\r\nHost: test\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	}()
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); !strings.Contains(line, "431") {
		t.Errorf("%q, %v", line, err)
	}
	isEnded(t, in)
}

func (g Target) longBody(t *testing.T) {
	c, _ := g.dial(t, g.start(t, asItIs), "http/1.1")
	send(t, c, g.post("Transfer-Encoding: chunked"))
	go func() { _, _ = io.Copy(io.Discard, c) }() // until the end of the connection
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 32<<10, strings.Repeat("x", 32<<10))
	taken := 0
	for ; taken < maxTaken; taken += len(chunk) {
		if _, err := io.WriteString(c, chunk); err != nil {
			break
		}
	}
	if taken >= maxTaken {
		t.Errorf("%d bytes are taken, and more", taken)
	}
}

func (g Target) unreadAnswers(t *testing.T) {
	c, socket := g.dial(t, g.start(t, func(s *http.Server) { only(answerTime)(s); s.Handler = longAnswer() }), "http/1.1")
	if err := socket.SetReadBuffer(readBuffer); err != nil {
		t.Fatal(err)
	}
	requests := strings.Repeat("GET "+g.Path+" HTTP/1.1\r\nHost: test\r\n\r\n", 100)
	for {
		if _, err := io.WriteString(c, requests); isTimeout(err) {
			t.Fatal("it holds its connection")
		} else if err != nil {
			return
		}
	}
}

// longAnswer is longer than what sockets' buffers can grow to.
func longAnswer() http.Handler {
	answer := strings.Repeat("x", 16<<20)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer) // nobody reads it
	})
}

func (g Target) idle(t *testing.T) {
	c, _ := g.dial(t, g.start(t, only(idleTime)), "http/1.1")
	send(t, c, "GET "+g.Path+" HTTP/1.1\r\nHost: test\r\n\r\n")
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if answer.Close {
		t.Error("the connection ends with its first answer")
	}
	isEnded(t, in)
}
