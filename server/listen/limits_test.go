package listen_test

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/listen"
)

// started serves a listener on loopback until the test ends.
func started(t *testing.T, l listen.Listener) (address string) {
	t.Helper()
	return startedWith(t, l, func(*http.Server) {})
}

// startedWith is started with a server that is changed before.
func startedWith(t *testing.T, l listen.Listener, change func(*http.Server)) (address string) {
	t.Helper()
	l.Name, l.Address = "test", "127.0.0.1:0"
	socket, err := listen.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	s := listen.NewServer(l, slog.New(slog.DiscardHandler))
	change(s)
	go func() { // until Close
		if l.TLS != nil {
			_ = s.ServeTLS(socket, "", "")
		} else {
			_ = s.Serve(socket)
		}
	}()
	t.Cleanup(func() { _ = s.Close() })
	return socket.Addr().String()
}

// dial opens a connection from an address of loopback.
func dial(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answered says whether a request on the connection is answered; a connection that there is no room for is closed.
func answered(t *testing.T, c net.Conn) bool {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		return false
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Fatal("the connection hangs")
	}
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return true
}

// Rows: slow clients; anonymous flood: the connections of one network leave some for others.
func TestConnectionsAreBounded(t *testing.T) {
	address := started(t, listen.Listener{Handler: http.NotFoundHandler(), MaxConnections: 6})
	var open []net.Conn
	for i := range 3 {
		c := dial(t, "127.0.0.1", address)
		if !answered(t, c) {
			t.Fatalf("connection %d is refused", i+1)
		}
		open = append(open, c)
	}
	if answered(t, dial(t, "127.0.0.1", address)) {
		t.Error("one address has more than half of the connections")
	}
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		if !answered(t, dial(t, from, address)) {
			t.Errorf("%s is refused", from)
		}
	}
	if answered(t, dial(t, "127.0.0.5", address)) {
		t.Error("there are more connections than there may be")
	}
	if err := open[0].Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !answered(t, dial(t, "127.0.0.1", address)); {
		if time.Now().After(deadline) {
			t.Fatal("a place that is given back stays taken")
		}
	}
}

// A request that is one too many is told so, and not kept waiting.
func TestRequestsUnderWayAreBounded(t *testing.T) {
	reached, done := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			reached <- struct{}{}
			<-done
		}
	})
	s := listen.NewServer(listen.Listener{Name: "test", Handler: handler, MaxRequests: 4}, slog.New(slog.DiscardHandler))
	ask := func(from, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = from + ":1234"
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, r)
		return w
	}
	for range 2 {
		go ask("192.0.2.1", "/slow")
		<-reached
	}
	w := ask("192.0.2.1", "/")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "temporarily_unavailable") {
		t.Errorf("the third of one address: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := ask("192.0.2.2", "/"); w.Code != http.StatusOK {
		t.Errorf("another address: %d", w.Code)
	}
	close(done)
}

// Rows: oversized input; slow clients: every listener is made by NewServer.
func TestEveryListenerHasLimits(t *testing.T) {
	s := listen.NewServer(listen.Listener{Name: "test", Handler: http.NotFoundHandler()}, slog.New(slog.DiscardHandler))
	for name, d := range map[string]time.Duration{"header": s.ReadHeaderTimeout, "body": s.ReadTimeout, "answer": s.WriteTimeout, "idle": s.IdleTimeout, "frame": s.HTTP2.WriteByteTimeout} {
		if d <= 0 || d > 2*time.Minute {
			t.Errorf("%s: %s", name, d)
		}
	}
	if s.ReadHeaderTimeout > 5*time.Second || s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 || s.HTTP2 == nil || s.HTTP2.MaxConcurrentStreams <= 0 {
		t.Errorf("%+v", s)
	}
}

func isTimeout(err error) bool {
	ne := net.Error(nil)
	return errors.As(err, &ne) && ne.Timeout()
}
