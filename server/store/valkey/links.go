package valkey

import (
	"errors"
	"net"
	"strings"
	"time"

	driver "github.com/valkey-io/valkey-go"
)

const (
	defaultPrefix = "latchkey:"
	// dialTimeout bounds how long a connection takes to be made.
	dialTimeout = time.Second
	// silence is how long a connection may leave a request unanswered until it is given up.
	silence = 3 * time.Second
	// refreshInterval is how often the nodes are asked who is primary, beside being told.
	refreshInterval = 5 * time.Second
	// bufferSize is that of each of the two buffers of a connection that writes.
	bufferSize = 32 << 10
	// idleWriter is for how long a connection is kept that nothing is written by.
	idleWriter = time.Minute
)

// links are the connections: one that everything is read by, and that tells what changes, to each node; and a pool that each
// batch of writes takes one of for itself, because WAIT speaks of what was written on its own connection.
type links struct {
	reader, writer driver.Client
	lanes          *lanes
}

func (l *links) close() {
	if l.reader != nil {
		l.reader.Close()
		l.writer.Close()
	}
}

func (s *Store) connect() (*links, error) {
	reading := s.options()
	reading.ClientTrackingOptions = []string{"BCAST", "PREFIX", s.config.Prefix + grantKind}
	reading.OnInvalidations = s.invalidated
	reader, err := driver.NewClient(reading)
	if err != nil {
		return nil, describe(err)
	}
	writing := s.options()
	writing.DisableCache = true
	writing.ReadBufferEachConn, writing.WriteBufferEachConn = bufferSize, bufferSize
	writing.BlockingPoolSize, writing.BlockingPoolCleanup = maxClusterLanes, idleWriter
	writer, err := driver.NewClient(writing)
	if err != nil {
		reader.Close()
		return nil, describe(err)
	}
	return &links{reader, writer, newLanes(writer)}, nil
}

func (s *Store) options() driver.ClientOption {
	c := &s.config
	return driver.ClientOption{
		InitAddress:      c.Addresses,
		Username:         c.Username,
		Password:         c.Password,
		ClientName:       "latchkey",
		TLSConfig:        c.TLS,
		Dialer:           net.Dialer{Timeout: dialTimeout},
		ConnWriteTimeout: silence,
		// One connection to a node: that which is listened to is that which is read by.
		PipelineMultiplex: -1,
		Sentinel: driver.SentinelOption{
			MasterSet: c.MasterName, Username: c.SentinelUsername, Password: c.SentinelPassword, TLSConfig: c.TLS,
			Dialer: net.Dialer{Timeout: dialTimeout}, TopologyRefreshInterval: refreshInterval,
		},
		ClusterOption: driver.ClusterOption{ShardsRefreshInterval: refreshInterval},
	}
}

// describe says what a server is missing that answers.
func describe(err error) error {
	if errors.Is(err, driver.ErrNoCache) {
		return errors.New("the server can't tell of changes (CLIENT TRACKING), or doesn't let this user be told: Valkey, or Redis 7.0 or newer, is needed")
	}
	return err
}

// invalidated is told which keys have changed; nil stands for all, as when a connection ends.
func (s *Store) invalidated(keys []driver.ValkeyMessage) {
	if keys == nil {
		s.cache.clear()
		return
	}
	for _, k := range keys {
		name, err := k.ToString()
		id, ok := strings.CutPrefix(name, s.config.Prefix+grantKind)
		if err != nil || !ok {
			s.cache.clear() // whatever it means, something has changed
			return
		}
		s.cache.forget(strings.Trim(id, "{}"))
	}
}
