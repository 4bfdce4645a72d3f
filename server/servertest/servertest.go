// Package servertest runs the whole server for protocol tests: over https on loopback, with the memory store, issuers from
// registrytest and a clock that only tests move.
package servertest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/storage"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
)

// Server is a running server.
type Server struct {
	// URL is the https origin. An issuer of the path "" has it as its identifier.
	URL      string
	Holder   *registry.Holder
	Grants   *memory.Store
	Devices  *memory.Devices
	SignOuts *memory.SignOuts
	// Writes counts what was written to Grants, Devices and SignOuts.
	Writes atomic.Int64
	// Outage: what is in Grants can't be searched at the moment.
	Outage atomic.Bool
	Clock  *Clock
	// Log is what the server logged, as JSON lines.
	Log *Log

	tb     testing.TB
	http   *httptest.Server
	change func(*server.Config)
}

// Start starts a server with one issuer for each path; none: one issuer without a path. It stops with the test.
func Start(tb testing.TB, paths ...string) *Server {
	tb.Helper()
	return StartWith(tb, func(*server.Config) {}, paths...)
}

// StartWith is Start with something changed in the configuration of the server and its replicas.
func StartWith(tb testing.TB, change func(*server.Config), paths ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, change: change, Holder: &registry.Holder{}, Clock: &Clock{now: time.Now().UTC().Truncate(time.Millisecond)}, Log: &Log{}}
	s.Grants, s.Devices, s.SignOuts = memory.New(s.Clock.Now), memory.NewDevices(s.Clock.Now), memory.NewSignOuts(s.Clock.Now)
	s.http = s.Replica()
	s.URL = s.http.URL
	if len(paths) == 0 {
		paths = []string{""}
	}
	var issuers []*registry.Issuer
	for _, path := range paths {
		issuers = append(issuers, registrytest.Issuer(tb, s.URL+path, s.Clock.Now()))
	}
	s.Holder.Store(registry.NewSnapshot(issuers))
	return s
}

// Replica starts another server over the same registry and grants. It stops with the test.
func (s *Server) Replica() *httptest.Server {
	s.tb.Helper()
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		s.tb.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(s.Log, nil))
	places, err := storage.New(storage.Config{ // as a server has them: what is done for no issuer fails
		Grants: counting{s.Grants, &s.Writes, &s.Outage}, Devices: countingDevices{s.Devices, &s.Writes}, Holder: s.Holder, Logger: logger,
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	config := server.Config{
		Holder: s.Holder, Grants: places.Grants(), Devices: places.Devices(), SignOuts: countingSignOuts{s.SignOuts, &s.Writes}, Now: s.Clock.Now, Metrics: metrics, Logger: logger, Limits: limit.DefaultRates(),
	}
	s.change(&config)
	handler, err := server.New(config)
	if err != nil {
		s.tb.Fatal(err)
	}
	replica := httptest.NewTLSServer(handler)
	s.tb.Cleanup(replica.Close)
	return replica
}

// counting counts the writes to a store, and may be told to fail.
type counting struct {
	store.Grants
	writes *atomic.Int64
	outage *atomic.Bool
}

// errOutage is nothing that anybody but the log should hear of.
var errOutage = errors.New("the store is out: internal detail")

func (c counting) Find(ctx context.Context, q store.Query) ([]*store.Grant, error) {
	if c.outage.Load() {
		return nil, errOutage
	}
	return c.Grants.Find(ctx, q)
}

func (c counting) Create(ctx context.Context, g *store.Grant, limit int) error {
	c.writes.Add(1)
	return c.Grants.Create(ctx, g, limit)
}

func (c counting) Rotate(ctx context.Context, id string, from int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	c.writes.Add(1)
	return c.Grants.Rotate(ctx, id, from, rotatedAt, expiresAt)
}

func (c counting) Renew(ctx context.Context, id string, generation int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	c.writes.Add(1)
	return c.Grants.Renew(ctx, id, generation, rotatedAt, expiresAt)
}

func (c counting) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	c.writes.Add(1)
	return c.Grants.Revoke(ctx, id, reason, at)
}

// countingDevices counts the writes to a store of devices.
type countingDevices struct {
	store.Devices
	writes *atomic.Int64
}

func (c countingDevices) Create(ctx context.Context, d *store.Device) error {
	c.writes.Add(1)
	return c.Devices.Create(ctx, d)
}

func (c countingDevices) Decide(ctx context.Context, name, id string, decision *store.Decision) error {
	c.writes.Add(1)
	return c.Devices.Decide(ctx, name, id, decision)
}

// countingSignOuts counts the writes to a store of sign-outs.
type countingSignOuts struct {
	store.SignOuts
	writes *atomic.Int64
}

func (c countingSignOuts) Record(ctx context.Context, o *store.SignOut) error {
	c.writes.Add(1)
	return c.SignOuts.Record(ctx, o)
}

// Client is an HTTP client that trusts the server and keeps neither cookies nor follows redirects.
func (s *Server) Client() *http.Client {
	return &http.Client{
		Transport:     s.http.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Issuer is the issuer with the path, as it is now.
func (s *Server) Issuer(path string) *registry.Issuer {
	s.tb.Helper()
	iss, ok := s.Holder.Load().ByURL(s.URL + path)
	if !ok {
		s.tb.Fatalf("no issuer with the path %q", path)
	}
	return iss
}

// Publish replaces the issuer that has the same URL, as the controllers would after a change.
func (s *Server) Publish(iss *registry.Issuer) {
	issuers := []*registry.Issuer{iss}
	for _, old := range s.Holder.Load().Issuers() {
		if old.URL != iss.URL {
			issuers = append(issuers, old)
		}
	}
	s.Holder.Store(registry.NewSnapshot(issuers))
}

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Log keeps what was logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is everything that was logged until now.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
