// Package listen opens the listeners of a process: each with bounds on what a client may send, on how long it may take, and on how
// many there may be.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/server/limit"
)

// Limits of every listener: a client that is slow or sends much holds a connection for a bounded time and little memory.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	maxStreams        = 250 // of one HTTP/2 connection
	drainTimeout      = 20 * time.Second
)

// Listener is an address with what answers there.
type Listener struct {
	// Name is for the log.
	Name string
	// Address is host:port.
	Address string
	// TLS is nil for plain HTTP.
	TLS *tls.Config
	// Handler answers.
	Handler http.Handler
	// MaxConnections bounds the connections that are open, half of which one network may have; 0 for no bound.
	MaxConnections int
	// MaxRequests bounds the requests that are being answered, half of which may come from one network; 0 for no bound.
	MaxRequests int
	// TrustedProxies are the networks whose X-Forwarded-For is believed, and whose connections stand for many networks.
	TrustedProxies []netip.Prefix
}

// Serve serves all listeners until the context ends, and for delay after that: whoever routes requests here learns only then that
// they are to go elsewhere. Connections end meanwhile with the answer to their next request, so that no client finds one closed that
// it is just about to use. Then nothing new is let in, and the requests in progress finish. An error means that one
// of the listeners could not be opened, in which case none serves, or broke.
func Serve(ctx context.Context, logger *slog.Logger, delay time.Duration, listeners ...Listener) error {
	sockets, err := openAll(ctx, listeners)
	if err != nil {
		return err
	}
	group, broken := errgroup.WithContext(ctx)
	for i, l := range listeners {
		l.Handler = lastAnswers(ctx, l.Handler)
		s := NewServer(l, logger)
		logger.Info("listening", "listener", l.Name, "address", sockets[i].Addr().String(), "tls", l.TLS != nil)
		group.Go(func() error { return ignoreClosed(serve(s, sockets[i])) })
		group.Go(func() error {
			<-broken.Done()
			if ctx.Err() != nil {
				<-time.After(delay)
			}
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
			defer cancel()
			return s.Shutdown(drain)
		})
	}
	return group.Wait()
}

// lastAnswers has each connection end with the next answer once the context has ended. Go's HTTP/2 does so as well, with GOAWAY.
func lastAnswers(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// openAll opens all sockets, or none.
func openAll(ctx context.Context, listeners []Listener) ([]net.Listener, error) {
	var sockets []net.Listener
	for _, l := range listeners {
		socket, err := Open(ctx, l)
		if err != nil {
			failures := []error{err}
			for _, s := range sockets {
				failures = append(failures, s.Close())
			}
			return nil, errors.Join(failures...)
		}
		sockets = append(sockets, socket)
	}
	return sockets, nil
}

// Open opens the socket of a listener, for a server that NewServer makes. It accepts as many connections as there may be; TLS is not its business.
func Open(ctx context.Context, l Listener) (net.Listener, error) {
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", l.Name, err)
	}
	return &connections{Listener: socket, shares: limit.NewShares(l.MaxConnections), trusted: l.TrustedProxies}, nil
}

// NewServer makes the server of a listener, with all limits but that on connections.
func NewServer(l Listener, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: underWay(l.MaxRequests, l.TrustedProxies, l.Handler), TLSConfig: l.TLS,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		// A client that reads nothing would hold all streams' handlers, which no limit on a stream reaches: the frame before them is stuck.
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: writeTimeout},
		ErrorLog: slog.NewLogLogger(logger.With("listener", l.Name).Handler(), slog.LevelDebug),
	}
}

func serve(s *http.Server, socket net.Listener) error {
	if s.TLSConfig != nil {
		return s.ServeTLS(socket, "", "")
	}
	return s.Serve(socket)
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// TLSConfig is the TLS configuration of a listener: TLS 1.2 with forward secrecy at least.
func TLSConfig(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate, NextProtos: []string{"h2", "http/1.1"}}
}
