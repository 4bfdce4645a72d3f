// Package valkey keeps grants and device authorizations in Valkey, or another server of the Redis protocol (7.0 or newer): for
// sites whose logins outgrow etcd.
//
// A grant is one key, whose value says all of it; every change is one script, which is atomic. One that sets a key only where there is
// none is the gate that makes an authorization code single-use, and one that replaces a value only where it finds the one expected is
// the compare-and-swap of everything else. Every key has a lifetime: nothing has to be swept. The same script writes the indexes
// first; in a Cluster, where these are at other nodes, they are written before it. What they name in vain is passed over.
//
// A write counts once a replica has it as well, where the primary has one: WAIT follows it on the same connection. One that no
// replica confirmed in time is an error, and a grant that was created so is taken back: its code was not honoured.
//
// What was read is remembered, and the server tells of every change (RESP3 tracking, in broadcasting mode). It is believed only
// for as long as the connection that would tell is heard from: see watch.
package valkey

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	driver "github.com/valkey-io/valkey-go"

	"github.com/latchkey-io/latchkey/server/store"
)

const (
	// remembered is how long an id stays taken at least, whatever becomes of its grant: the longest life of an authorization
	// code, 60 s, and the skew that clocks may have.
	remembered = 150 * time.Second
	// revokedKept is how long a revoked grant is kept at most: for the longest life of an access token of its. From then on its absence says
	// the same.
	revokedKept = 24 * time.Hour
	// afterlife is how much longer than it is good for something a key is kept, for clocks that differ.
	afterlife = time.Minute
	// callTimeout bounds one request to Valkey, so that one that hangs leaves time to find out what came of it.
	callTimeout = 2 * time.Second
	// replicaTimeout is how long a write waits for a replica. One that has just come confirms every second only, at first.
	replicaTimeout = 1500 * time.Millisecond
	// firstPatience is how long a request waits for the first connections.
	firstPatience = 500 * time.Millisecond
	// maxCached bounds the memory for grants that were read, to about 100 MB.
	maxCached = 1 << 16
)

// The verbs OnWrite is told.
const (
	VerbCreate = "create"
	VerbUpdate = "update"
	VerbDelete = "delete"
	VerbIndex  = "index"
)

// Config says which server to use, and as whom.
type Config struct {
	// Addresses are host:port of the one server; of Sentinels, when MasterName is set; or of nodes of a Cluster.
	Addresses []string
	// MasterName is the name of the master set that the Sentinels watch, empty without Sentinels.
	MasterName string
	// Username and Password are those of an ACL user, or of none. SentinelUsername and SentinelPassword are for the Sentinels.
	Username, Password                 string
	SentinelUsername, SentinelPassword string
	// TLS is nil for plain TCP. It is used with Sentinels as well.
	TLS *tls.Config
	// Prefix precedes the name of every key; "latchkey:" when empty.
	Prefix string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger takes what goes wrong beside a request; slog.Default() when nil.
	Logger *slog.Logger
	// OnWrite, when set, is called before each command that writes, with one of the verbs. The indexes of a grant count as one.
	OnWrite func(verb string)
}

// Store implements store.Grants.
type Store struct {
	config Config
	links  atomic.Pointer[links]
	// ready is closed once the first connections are there.
	ready     chan struct{}
	makeReady sync.Once
	cache     *cache
}

var _ store.Grants = (*Store)(nil)

// errNotConnected is returned before the first connection is there.
var errNotConnected = errors.New("store/valkey: not connected yet")

// New makes a Store. Nothing is connected before Connect or Start.
func New(c Config) (*Store, error) {
	if len(c.Addresses) == 0 {
		return nil, errors.New("store/valkey: an address is needed")
	}
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.OnWrite == nil {
		c.OnWrite = func(string) {}
	}
	return &Store{config: c, ready: make(chan struct{}), cache: newCache(maxCached)}, nil
}

// Start connects, however long it takes, and watches the connections until the context is done. It closes the Store then.
func (s *Store) Start(ctx context.Context) error {
	defer s.Close()
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	lastTold := ""
	for {
		err := s.beat(ctx)
		if err == nil {
			lastTold = ""
		} else if text := err.Error(); text != lastTold && ctx.Err() == nil {
			lastTold = text
			s.config.Logger.Warn("Valkey can't be reached", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Connect makes the connections. There is nothing to do when they are there: they repair themselves.
func (s *Store) Connect() error {
	if s.links.Load() != nil {
		return nil
	}
	l, err := s.connect()
	if err != nil {
		return fmt.Errorf("store/valkey: connect: %w", err)
	}
	if !s.links.CompareAndSwap(nil, l) {
		l.close()
	}
	s.makeReady.Do(func() { close(s.ready) })
	return nil
}

// Close ends the connections. The Store can't be used afterwards.
func (s *Store) Close() {
	s.cache.disbelieve()
	if l := s.links.Swap(&links{}); l != nil {
		l.close()
	}
}

// linked are the connections. A store that has just been made has a moment to get them.
func (s *Store) linked(ctx context.Context) (*links, error) {
	l := s.links.Load()
	if l == nil {
		patience := time.NewTimer(firstPatience)
		defer patience.Stop()
		select {
		case <-s.ready:
		case <-patience.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		l = s.links.Load()
	}
	if l == nil || l.reader == nil {
		return nil, errNotConnected
	}
	return l, nil
}

// reader is what commands that only read are sent by.
func (s *Store) reader(ctx context.Context) (driver.Client, error) {
	l, err := s.linked(ctx)
	if err != nil {
		return nil, err
	}
	return l.reader, nil
}

// read asks the primary. What it answers is remembered, unless it has changed by then.
func (s *Store) read(ctx context.Context, id string) (*entry, error) {
	r, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	place := s.cache.begin(id)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	value, err := r.Do(ctx, r.B().Get().Key(s.grantKey(id)).Build()).ToString()
	e, err := entryOf(id, value, err)
	if err != nil {
		return nil, err
	}
	s.cache.fill(place, e)
	return e, nil
}

// entryOf is what the answer to a GET stands for. A grant that was deleted is ErrNotFound, like one that never was.
func entryOf(id, value string, err error) (*entry, error) {
	switch {
	case driver.IsValkeyNil(err):
		return nil, store.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("store/valkey: read a grant: %w", err)
	}
	e, err := decode(id, value)
	if err != nil {
		return nil, err
	}
	if e.grant == nil {
		return nil, store.ErrNotFound
	}
	return e, nil
}

// Get implements store.Grants. It costs no request for a grant that was read before and has not changed since. One that is over,
// as far as memory knows, is read again.
func (s *Store) Get(ctx context.Context, id string) (*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !validID(id) {
		return nil, store.ErrNotFound
	}
	if known := s.Known(ctx, id); known != nil {
		return known, nil
	}
	e, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.grant, nil
}

// Known implements store.Grants.
func (s *Store) Known(_ context.Context, id string) *store.Grant {
	e := s.cache.get(id)
	if e == nil || e.grant.RevokedAt.IsZero() && !s.config.Now().Before(e.grant.ExpiresAt) {
		return nil
	}
	return e.grant
}

// Connected says whether connections have been made, and every node was heard from within the last second.
func (s *Store) Connected() bool { return s.cache.believed() }
