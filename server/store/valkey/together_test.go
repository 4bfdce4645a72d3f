package valkey_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// held holds back what would write at the server until all grants are about to be created, and returns what came of each.
func held(t *testing.T, server *valkeyserver.Server, s *valkey.Store, sent *atomic.Int64, grants []*store.Grant) []error {
	t.Helper()
	server.Do(t, "CLIENT", "PAUSE", "60000", "WRITE")
	sent.Store(0)
	errs := make([]error, len(grants))
	var all sync.WaitGroup
	for i, g := range grants {
		all.Go(func() { errs[i] = s.Create(t.Context(), g, store.NoLimit) })
	}
	eventually(t, "all are about to be created", func() bool { return sent.Load() == int64(len(grants)) })
	server.Do(t, "CLIENT", "UNPAUSE")
	all.Wait()
	return errs
}

// Of writes at once, those that have to wait travel together, and a replica confirms them together. What the server refuses concerns nobody else.
func TestWritesTravelTogether(t *testing.T) {
	primary := valkeyserver.Start(t, valkeyserver.Options{})
	valkeyserver.Start(t, valkeyserver.Options{ReplicaOf: primary})
	var sent atomic.Int64
	s := open(t, valkey.Config{Addresses: []string{primary.Address}, OnWrite: func(string) { sent.Add(1) }})
	create(t, s) // a replica that has just come confirms nothing for a moment
	grants := make([]*store.Grant, 100)
	for i := range grants {
		grants[i] = storetest.NewGrant()
	}
	const refused = 50
	primary.Do(t, "RPUSH", "latchkey:grant:{"+grants[refused].ID+"}", "no grant")
	before := calls(t, primary, "wait")
	for i, err := range held(t, primary, s, &sent, grants) {
		_, missing := s.Get(t.Context(), grants[i].ID)
		if (err != nil || missing != nil) != (i == refused) {
			t.Errorf("grant %d: %v, %v", i, err, missing)
		}
	}
	if n := calls(t, primary, "wait") - before; n == 0 || n > len(grants)/4 {
		t.Errorf("%d writes were confirmed %d times", len(grants), n)
	}
}
