// Package storage finds the place where an issuer's grants are kept, of several that a server may have: the one it was started with,
// or one that the issuer names.
package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

const (
	// lookEvery is how often the places are compared with the issuers: a connection is made before the first request needs it.
	lookEvery = time.Second
	// keepUnused is how long a place is kept that no issuer names any more: requests that began before may still use it.
	keepUnused = time.Minute
)

// Config is what Places need.
type Config struct {
	// Grants and Devices are the place of issuers that name none.
	Grants  store.Grants
	Devices store.Devices
	// Holder tells which issuers there are.
	Holder *registry.Holder
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger takes what goes wrong with a place.
	Logger *slog.Logger
	// OnWrite is told of each write to a place other than Grants and Devices.
	OnWrite func(verb string)
}

// Places are all places where grants are kept. What is done there is done for the issuer that the context names (registry.In); where
// it names none it is an error, and never the wrong place.
type Places struct {
	config Config
	// running is over when the Places end.
	running context.Context
	end     context.CancelFunc

	mu   sync.Mutex
	open map[string]*place
	done sync.WaitGroup
}

// place is one that is open, or can't be opened.
type place struct {
	store *valkey.Store
	close context.CancelFunc
	err   error
	// neededAt is when an issuer was last seen to name it.
	neededAt time.Time
}

// New makes Places. They are ready, and Start opens them ahead of requests and ends them.
func New(c Config) (*Places, error) {
	if c.Grants == nil || c.Devices == nil || c.Holder == nil || c.Logger == nil {
		return nil, errors.New("storage: something is missing")
	}
	p := &Places{config: c, open: map[string]*place{}}
	p.running, p.end = context.WithCancel(context.Background())
	return p, nil
}

// Start follows the issuers until the context is done, and closes all places then.
func (p *Places) Start(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		p.look(time.Now())
		select {
		case <-ctx.Done():
			p.end()
			p.done.Wait()
			return nil
		case <-tick.C:
		}
	}
}

// look opens the places that issuers name, and closes those that none does any more.
func (p *Places) look(now time.Time) {
	snapshot := p.config.Holder.Load()
	if snapshot == nil {
		return
	}
	for _, iss := range snapshot.Issuers() {
		if iss.Config != nil && iss.Storage != nil {
			p.at(iss.Storage, now)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, at := range p.open {
		if now.Sub(at.neededAt) > keepUnused {
			at.close()
			delete(p.open, key)
		}
	}
}

// at is the place, which is opened when it isn't.
func (p *Places) at(s *registry.Storage, now time.Time) *place {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.open[s.Key]
	if at == nil {
		at = p.openAt(s)
		p.open[s.Key] = at
	}
	at.neededAt = now
	return at
}

func (p *Places) openAt(s *registry.Storage) *place {
	config, err := valkey.ParseSecret(s.Data)
	if err != nil {
		return &place{close: func() {}, err: fmt.Errorf("storage: the Secret of the issuer's storage: %w", err)}
	}
	config.Now, config.Logger, config.OnWrite = p.config.Now, p.config.Logger, p.config.OnWrite
	at := &place{}
	if at.store, err = valkey.New(config); err != nil {
		return &place{close: func() {}, err: err}
	}
	var ctx context.Context
	ctx, at.close = context.WithCancel(p.running)
	p.done.Go(func() {
		if err := at.store.Start(ctx); err != nil {
			p.config.Logger.Error("a storage has ended", "error", err)
		}
	})
	return at
}

// errNoIssuer: whoever asks has forgotten to say for whom.
var errNoIssuer = errors.New("storage: for no issuer")

// of is the place for what is done in the context, nil for the server's own.
func (p *Places) of(ctx context.Context) (*valkey.Store, error) {
	iss := registry.Of(ctx)
	if iss == nil || iss.Config == nil {
		return nil, errNoIssuer
	}
	if iss.Storage == nil {
		return nil, nil
	}
	at := p.at(iss.Storage, time.Now())
	return at.store, at.err
}
