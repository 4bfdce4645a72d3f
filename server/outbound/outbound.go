// Package outbound is the HTTP client for URLs that tenants set: where a client keeps its keys, or wants to hear of a
// sign-out. Whoever may write such a URL must not be able to reach with it what only the server can reach, so that it
// connects to public addresses alone (and to what the platform allows), checked at the moment of connecting, when no name can
// mean another address any more; it follows no redirect, knows no proxy and no cookie, and gives up on what is slow or huge.
package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

const (
	// DefaultTimeout bounds a whole exchange, from the first look at a name to the last byte of the answer.
	DefaultTimeout = 5 * time.Second
	// MaxBody bounds the body of an answer, in bytes.
	MaxBody = 128 << 10

	maxHeader      = 16 << 10
	maxConnections = 16 // for one host and port
	idleTimeout    = 15 * time.Second
)

// ErrRefused is in the chain of the error for a URL or address that the client does not connect to. No connection was made.
var ErrRefused = errors.New("outbound: refused")

// ErrTooLarge is the error of reading an answer beyond MaxBody.
var ErrTooLarge = fmt.Errorf("outbound: the answer is longer than %d bytes", MaxBody)

// Config is what is allowed. The zero Config allows https to public addresses, with the system's CAs.
type Config struct {
	// AllowedCIDRs are networks that are allowed although their addresses are not public. Plain http is allowed to the
	// loopback addresses among them, and nowhere else.
	AllowedCIDRs []netip.Prefix
	// RootCAs verify servers; the system's when nil.
	RootCAs *x509.CertPool
	// Timeout is DefaultTimeout when zero.
	Timeout time.Duration
	// Resolver looks names up; the system's when nil.
	Resolver *net.Resolver
}

// New makes the client. What its errors say is for the log alone: they tell what is where in the network.
func New(c Config) *http.Client {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	g := newGuard(c.AllowedCIDRs)
	return &http.Client{
		Timeout: c.Timeout,
		Transport: &transport{
			https: c.transport(g.https),
			http:  c.transport(g.http),
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type control = func(network, address string, conn syscall.RawConn) error

func (c Config) transport(check control) *http.Transport {
	dialer := &net.Dialer{Timeout: c.Timeout, Control: check, Resolver: c.Resolver}
	return &http.Transport{
		Proxy:                  nil, // a proxy would be asked to connect where we may not
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    c.Timeout,
		ResponseHeaderTimeout:  c.Timeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:        maxConnections,
		MaxIdleConnsPerHost:    1,
		MaxIdleConns:           64,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true, // what is small on the wire may be huge
	}
}

// guard decides about addresses. It is asked by the dialer, with the address that is about to be connected to.
type guard struct {
	addresses *ssrf.Guardian
	loopback  []netip.Prefix
}

func newGuard(allowed []netip.Prefix) *guard {
	g := &guard{}
	var v4, v6 []netip.Prefix
	for _, p := range allowed {
		if p = p.Masked(); p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	g.loopback = append(slices.Clone(v4), v6...)
	g.addresses = ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	return g
}

func (g *guard) https(network, address string, conn syscall.RawConn) error {
	if err := g.addresses.Safe(network, address, conn); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// http allows loopback addresses only, and of these only what is allowed.
func (g *guard) http(network, address string, conn syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	inside := func(p netip.Prefix) bool { return p.Contains(to.Addr()) }
	if !to.Addr().IsLoopback() || !slices.ContainsFunc(g.loopback, inside) {
		return fmt.Errorf("%w: plain http to %s", ErrRefused, to.Addr())
	}
	return g.https(network, address, conn)
}

// transport chooses by the scheme, and bounds what comes back.
type transport struct{ https, http http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.https
	switch {
	case r.URL.User != nil:
		return nil, fmt.Errorf("%w: a URL with a user", ErrRefused)
	case r.URL.Scheme == "http":
		next = t.http
	case r.URL.Scheme != "https":
		return nil, fmt.Errorf("%w: scheme %q", ErrRefused, r.URL.Scheme)
	}
	res, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &bounded{ReadCloser: res.Body, left: MaxBody}
	return res, nil
}

// bounded is a body that is an error from the byte after the last one allowed.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		return b.left, ErrTooLarge
	}
	b.left -= n
	return n, err
}
