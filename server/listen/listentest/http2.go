package listentest

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// maxStreams is how many streams of one connection there may be at a time, and tooMany how many more a client tries to have.
	maxStreams, tooMany = 250, 50
	// maxFrame is how long a frame may be, in bytes.
	maxFrame = 16 << 10
)

// client2 is a client of HTTP/2 that does what it should not.
type client2 struct {
	*http2.Framer
	t       *testing.T
	target  Target
	conn    net.Conn
	socket  *net.TCPConn
	encoder *hpack.Encoder
	block   bytes.Buffer
}

// dial2 opens a connection, with the client's settings.
func (g Target) dial2(t *testing.T, address string, settings ...http2.Setting) *client2 {
	t.Helper()
	c := &client2{t: t, target: g}
	c.conn, c.socket = g.dial(t, address, http2.NextProtoTLS)
	c.Framer, c.encoder = http2.NewFramer(c.conn, c.conn), hpack.NewEncoder(&c.block)
	send(t, c.conn, http2.ClientPreface)
	c.must(c.WriteSettings(settings...))
	return c
}

func (c *client2) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// fields are a request's headers, encoded.
func (c *client2) fields(method string, more ...hpack.HeaderField) []byte {
	c.block.Reset()
	for _, f := range append([]hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "test"}, {Name: ":path", Value: c.target.Path},
	}, more...) {
		c.must(c.encoder.WriteField(f)) // to memory
	}
	return c.block.Bytes()
}

// ask begins the request of a stream. A GET ends there.
func (c *client2) ask(id uint32, method string, more ...hpack.HeaderField) error {
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.fields(method, more...), EndHeaders: true, EndStream: method == http.MethodGet})
}

// next is the next frame; nil at the connection's end.
func (c *client2) next() http2.Frame {
	c.t.Helper()
	f, err := c.ReadFrame()
	if isTimeout(err) {
		c.t.Fatal("nothing comes, and the connection is held")
	}
	if err != nil {
		return nil
	}
	return f
}

// streamEnds waits until the stream ends, in whatever way.
func (c *client2) streamEnds(id uint32) {
	c.t.Helper()
	for f := c.next(); f != nil; f = c.next() {
		h := f.Header()
		if h.StreamID != id {
			continue
		}
		if h.Type == http2.FrameRSTStream || (h.Type == http2.FrameHeaders || h.Type == http2.FrameData) && h.Flags.Has(http2.FlagDataEndStream) {
			return
		}
	}
}

func (g Target) slowHeaders2(t *testing.T) {
	c := g.dial2(t, g.start(t, only(idleTime)))
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(http.MethodGet)}))
	field := []byte("\x00\x01x\x01y") // never indexed
	drip(t, func() error { return c.WriteContinuation(1, false, field) })
	isEnded(t, c.conn)
}

func (g Target) slowBody2(t *testing.T) {
	c := g.dial2(t, g.start(t, only(bodyTime)))
	c.must(c.ask(1, http.MethodPost, hpack.HeaderField{Name: "content-type", Value: "application/x-www-form-urlencoded"}))
	drip(t, func() error { return c.WriteData(1, false, []byte("x")) })
	c.streamEnds(1)
}

func (g Target) longHeaders2(t *testing.T) {
	var reached atomic.Bool
	c := g.dial2(t, g.start(t, func(s *http.Server) {
		s.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	}))
	block := c.fields(http.MethodGet, hpack.HeaderField{Name: "x", Value: strings.Repeat("~", 64<<10)})
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:maxFrame], EndStream: true})
	for rest := block[maxFrame:]; err == nil && len(rest) > 0; { // the listener doesn't wait for all of it
		n := min(len(rest), maxFrame)
		err, rest = c.WriteContinuation(1, n == len(rest), rest[:n]), rest[n:]
	}
	c.streamEnds(1)
	if reached.Load() {
		t.Error("they are taken")
	}
}

func (g Target) blockedAnswer2(t *testing.T) {
	c := g.dial2(t, g.start(t, only(answerTime)), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	c.must(c.ask(1, http.MethodGet))
	c.streamEnds(1)
}

func (g Target) unreadAnswers2(t *testing.T) {
	c := g.dial2(t, g.start(t, func(s *http.Server) { only(byteTime)(s); s.Handler = longAnswer() }), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	c.must(c.socket.SetReadBuffer(readBuffer))
	c.must(c.WriteWindowUpdate(0, 1<<30))
	for i := range uint32(maxStreams) {
		if err := c.ask(2*i+1, http.MethodGet); err != nil {
			break
		}
	}
	if err := <-drip(t, func() error { return c.WritePing(false, [8]byte{}) }); isTimeout(err) {
		t.Error("it holds its connection")
	}
}

func (g Target) idle2(t *testing.T) {
	c := g.dial2(t, g.start(t, only(idleTime)))
	c.must(c.ask(1, http.MethodGet))
	c.streamEnds(1)
	isEnded(t, c.conn)
}

func (g Target) streams2(t *testing.T) {
	var open atomic.Int64
	done := make(chan struct{})
	c := g.dial2(t, g.start(t, func(s *http.Server) {
		s.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { open.Add(1); <-done })
	}))
	defer close(done)
	for i := range uint32(maxStreams + tooMany) {
		c.must(c.ask(2*i+1, http.MethodGet))
	}
	for refused := 0; refused < tooMany; {
		f, err := c.ReadFrame()
		switch f.(type) {
		case *http2.RSTStreamFrame:
			refused++
		case *http2.GoAwayFrame:
			return // to whom does so much it is a fault of the connection, too
		default:
			if err != nil {
				t.Fatalf("%d of %d are refused: %v", refused, tooMany, err)
			}
		}
	}
	if n := open.Load(); n > maxStreams {
		t.Errorf("%d streams at a time", n)
	}
}
