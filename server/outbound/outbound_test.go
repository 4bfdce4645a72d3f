package outbound_test

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/outbound"
)

// target is an https server on loopback that counts what connects to it.
type target struct {
	*httptest.Server
	connections, requests atomic.Int64
}

func newTarget(t *testing.T, serve http.HandlerFunc) *target {
	t.Helper()
	s := &target{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		serve(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func (s *target) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func (s *target) port() string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return port
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// get fetches a URL whole.
func get(t *testing.T, client *http.Client, url string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func TestAllowed(t *testing.T) {
	s := newTarget(t, hello)
	client := outbound.New(outbound.Config{AllowedCIDRs: loopback(), RootCAs: s.roots()})
	if status, body, err := get(t, client, s.URL); err != nil || status != http.StatusOK || body != "hello" {
		t.Errorf("%d %q %v", status, body, err)
	}
	unknown := outbound.New(outbound.Config{AllowedCIDRs: loopback()})
	if _, _, err := get(t, unknown, s.URL); err == nil {
		t.Error("a server with an unknown CA was believed")
	}
}

// Security: SSRF: private, link-local and IPv6-mapped addresses, in every form that they are written in → no connection.
func TestSSRFAddresses(t *testing.T) {
	s := newTarget(t, hello)
	client := outbound.New(outbound.Config{RootCAs: s.roots()})
	for _, host := range []string{
		"127.0.0.1", "127.8.8.8", "localhost", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]",
		"[64:ff9b::7f00:1]", "[64:ff9b::a00:1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[2001:0:7f00:1::]",
		"[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:0:127.0.0.1]",
		"224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "[ff02::1]", "[2001:db8::1]", "[100::1]",
	} {
		for _, scheme := range []string{"https", "http"} {
			_, _, err := get(t, client, scheme+"://"+host+":"+s.port()+"/")
			if !errors.Is(err, outbound.ErrRefused) {
				t.Errorf("%s://%s: %v", scheme, host, err)
			}
		}
	}
	for _, host := range []string{"2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.1", "localhost.", "①②⑦.⓪.⓪.①"} {
		if _, _, err := get(t, client, "https://"+host+":"+s.port()+"/"); err == nil {
			t.Errorf("%s was fetched", host)
		}
	}
	if n := s.connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// Security: SSRF: plain http goes to no other address than loopback, whatever else is allowed, and only where it is.
func TestSSRFPlainHTTP(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(hello))
	t.Cleanup(s.Close)
	for name, test := range map[string]struct {
		allowed []netip.Prefix
		url     string
		refused bool
	}{
		"loopback, allowed":         {loopback(), s.URL, false},
		"loopback, not allowed":     {nil, s.URL, true},
		"loopback, another allowed": {[]netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, s.URL, true},
		"private, allowed":          {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "http://10.0.0.1:1/", true},
		"public":                    {loopback(), "http://192.88.98.1:1/", true},
		"IPv6 loopback, v4 allowed": {loopback(), "http://[::1]:1/", true},
	} {
		_, _, err := get(t, outbound.New(outbound.Config{AllowedCIDRs: test.allowed}), test.url)
		if errors.Is(err, outbound.ErrRefused) != test.refused || (!test.refused && err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSSRFSchemes(t *testing.T) {
	client := outbound.New(outbound.Config{AllowedCIDRs: loopback()})
	for _, url := range []string{"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "//127.0.0.1/", "https://user:password@127.0.0.1:1/", "https://user@127.0.0.1:1/"} {
		if _, _, err := get(t, client, url); err == nil || strings.Contains(err.Error(), "connect") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// Security: SSRF: a redirect is an answer, and not followed.
func TestSSRFRedirect(t *testing.T) {
	inner := newTarget(t, hello)
	for _, status := range []int{301, 302, 303, 307, 308} {
		outer := newTarget(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inner.URL, status) })
		client := outbound.New(outbound.Config{AllowedCIDRs: loopback(), RootCAs: outer.roots()})
		if got, _, err := get(t, client, outer.URL); err != nil || got != status {
			t.Errorf("%d: %d %v", status, got, err)
		}
	}
	if n := inner.connections.Load(); n != 0 {
		t.Errorf("%d connections were made to where redirects led", n)
	}
}

// Security: SSRF: slow → bounded time, be it the connection, the headers or the body that is slow.
func TestSSRFSlow(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a body that drips": func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
				<-tick.C
			}
		},
	} {
		s := newTarget(t, serve)
		client := outbound.New(outbound.Config{AllowedCIDRs: loopback(), RootCAs: s.roots(), Timeout: 200 * time.Millisecond})
		begin := time.Now()
		_, _, err := get(t, client, s.URL)
		if took := time.Since(begin); err == nil || took > 5*time.Second {
			t.Errorf("%s: %v after %s", name, err, took)
		}
		client.CloseIdleConnections()
	}
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	client := outbound.New(outbound.Config{AllowedCIDRs: loopback(), Timeout: 200 * time.Millisecond})
	if _, _, err := get(t, client, "https://"+silent.Addr().String()); err == nil {
		t.Error("no TLS handshake was waited for")
	}
}

// Security: SSRF: huge → bounded bytes, in body and headers, and nothing is unpacked.
func TestSSRFHuge(t *testing.T) {
	answer := func(size int, length bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if length {
				w.Header().Set("Content-Length", strconv.Itoa(size))
			}
			chunk := bytes.Repeat([]byte("x"), 1024)
			for left := size; left > 0; left -= len(chunk) {
				if _, err := w.Write(chunk[:min(left, len(chunk))]); err != nil {
					return
				}
			}
		}
	}
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		want  error
	}{
		"as long as allowed":        {answer(outbound.MaxBody, true), nil},
		"as long as allowed, parts": {answer(outbound.MaxBody, false), nil},
		"a byte longer":             {answer(outbound.MaxBody+1, true), outbound.ErrTooLarge},
		"much longer, in parts":     {answer(64<<20, false), outbound.ErrTooLarge},
	} {
		s := newTarget(t, test.serve)
		client := outbound.New(outbound.Config{AllowedCIDRs: loopback(), RootCAs: s.roots()})
		_, body, err := get(t, client, s.URL)
		if !errors.Is(err, test.want) || len(body) > outbound.MaxBody {
			t.Errorf("%s: %d bytes, %v", name, len(body), err)
		}
	}
	headers := newTarget(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 64<<10)) })
	client := outbound.New(outbound.Config{AllowedCIDRs: loopback(), RootCAs: headers.roots()})
	if _, _, err := get(t, client, headers.URL); err == nil {
		t.Error("64 KiB of headers were read")
	}
}

// Security: gzip bombs: what was not asked for is not unpacked.
func TestSSRFGzip(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, 10<<20))
	_ = w.Close()
	s := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("Accept-Encoding: %s", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	client := outbound.New(outbound.Config{AllowedCIDRs: loopback(), RootCAs: s.roots()})
	if _, body, err := get(t, client, s.URL); err != nil || len(body) != packed.Len() {
		t.Errorf("%d bytes, %v; %d were sent", len(body), err, packed.Len())
	}
}
