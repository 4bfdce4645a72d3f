// Package loglimit bounds what strangers can have written to a log. What is refused to somebody who has not proven who he is is written
// up to a rate, by network and in all; so is any message that requests can cause again and again. What is left out is counted, and the
// counts are written. What somebody did who has proven who he is is always written.
package loglimit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/server/limit"
)

const (
	// interval is how often it is written how many lines were left out.
	interval = time.Minute
	// maxKinds bounds the kinds that are counted one by one: of constants of the program there are fewer.
	maxKinds = 256
)

// ofNetwork and ofAll are how many lines of one kind may be written: those that one network causes, and all of them.
func ofNetwork() limit.Rate { return limit.Rate{PerSecond: 1, Burst: 60} }
func ofAll() limit.Rate     { return limit.Rate{PerSecond: 50, Burst: 1000} }

// Handler is a slog.Handler that bounds what it passes on. Records below Info are for those who look closely, and are passed on.
type Handler struct {
	next slog.Handler
	*state
}

// state is what all Handlers made of one another share.
type state struct {
	root          slog.Handler
	now           func() time.Time
	onLeftOut     func()
	networks, all *limit.Buckets

	mu      sync.Mutex
	leftOut map[string]int // by kind
}

// New makes a Handler before next. onLeftOut is called for each line that is left out.
func New(next slog.Handler, now func() time.Time, onLeftOut func()) *Handler {
	return &Handler{next, &state{
		root: next, now: now, onLeftOut: onLeftOut, leftOut: map[string]int{},
		networks: limit.NewBuckets(ofNetwork()), all: limit.NewBuckets(ofAll()),
	}}
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{h.next.WithAttrs(attrs), h.state}
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.next.WithGroup(name), h.state}
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		if l := lineOf(r); l.bounded() && !h.allow(l) {
			return nil
		}
	}
	return h.next.Handle(ctx, r)
}

// Start writes the counts once a minute until the context ends, and then once more.
func (h *Handler) Start(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := h.Tell(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return h.Tell(context.WithoutCancel(ctx))
		}
	}
}

// Tell writes how many lines were left out since it was told last.
func (h *Handler) Tell(ctx context.Context) error {
	h.mu.Lock()
	counts := h.leftOut
	h.leftOut = map[string]int{}
	h.mu.Unlock()
	for kind, n := range counts {
		r := slog.NewRecord(h.now(), slog.LevelWarn, "lines were left out of the log", 0)
		r.AddAttrs(slog.String("of", kind), slog.Int("lines", n))
		if err := h.root.Handle(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// allow counts the line, as one that is written or as one that is left out.
func (s *state) allow(l line) bool {
	now := s.now()
	if _, ok := s.networks.Take(limit.Key{Client: l.kind, Network: limit.Network(l.source)}, now); ok {
		if _, ok := s.all.Take(limit.Key{Client: l.kind}, now); ok {
			return true
		}
	}
	s.onLeftOut()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.leftOut[l.kind]; !known && len(s.leftOut) >= maxKinds {
		l.kind = "other"
	}
	s.leftOut[l.kind]++
	return false
}
