package valkey_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// A write that no replica confirms is refused, and a code whose grant was refused so is not consumed; none is honoured twice.
func TestACodeIsHonouredOnceAReplicaKnows(t *testing.T) {
	primary := valkeyserver.Start(t, valkeyserver.Options{})
	replica := valkeyserver.Start(t, valkeyserver.Options{ReplicaOf: primary})
	s := open(t, valkey.Config{Addresses: []string{primary.Address}})
	kept := create(t, s)
	replica.Pause(t)
	g := storetest.NewGrant()
	if err := s.Create(t.Context(), g, store.NoLimit); err == nil || errors.Is(err, store.ErrExists) {
		t.Errorf("Create that no replica has confirmed: %v", err)
	}
	if _, err := s.Rotate(t.Context(), kept.ID, 1, time.Now(), kept.ExpiresAt); err == nil || errors.Is(err, store.ErrConflict) {
		t.Errorf("Rotate that no replica has confirmed: %v", err)
	}
	for range 2 { // the second finds the mark there, and may not call it done
		if err := s.Revoke(t.Context(), kept.ID, store.ReasonSignedOut, time.Now()); err == nil {
			t.Error("Revoke that no replica has confirmed is called done")
		}
	}
	replica.Resume(t)
	if err := redeemed(t, s, again(g)); err != nil {
		t.Errorf("the code was refused once, and is not honoured now: %v", err)
	}
	if err := redeemed(t, s, g); !errors.Is(err, store.ErrExists) {
		t.Errorf("the code is honoured twice: %v", err)
	}
	replica.Kill(t) // from then on there is no replica to wait for
	eventually(t, "the primary goes on alone", func() bool { return s.Create(t.Context(), storetest.NewGrant(), store.NoLimit) == nil })
}

// redeemed creates the grant, and tries again for as long as the answer is neither yes nor no: a replica that has just come, or is back,
// may take its time to confirm.
func redeemed(t *testing.T, s *valkey.Store, g *store.Grant) (err error) {
	t.Helper()
	eventually(t, "a code is honoured or refused", func() bool {
		err = s.Create(t.Context(), g, store.NoLimit)
		return err == nil || errors.Is(err, store.ErrExists)
	})
	return err
}

// Of many codes at once, too, none is consumed that was refused because no replica has confirmed it.
func TestCodesThatNoReplicaConfirmedAreNotConsumed(t *testing.T) {
	primary := valkeyserver.Start(t, valkeyserver.Options{})
	replica := valkeyserver.Start(t, valkeyserver.Options{ReplicaOf: primary})
	s := open(t, valkey.Config{Addresses: []string{primary.Address}})
	create(t, s)
	replica.Pause(t)
	grants := make([]*store.Grant, 300)
	var all sync.WaitGroup
	for i := range grants {
		grants[i] = storetest.NewGrant()
		all.Go(func() {
			if err := s.Create(t.Context(), grants[i], store.NoLimit); err == nil || errors.Is(err, store.ErrExists) {
				t.Errorf("Create that no replica has confirmed: %v", err)
			}
		})
	}
	all.Wait()
	replica.Resume(t)
	for _, g := range grants {
		if err := redeemed(t, s, again(g)); err != nil {
			t.Fatalf("a code was refused, and is not honoured now: %v", err)
		}
	}
}

// journal is what a site was told: what failover may not take back.
type journal struct {
	mu      sync.Mutex
	created []*store.Grant
	rotated []*store.Grant
	revoked []string
	refused int
}

// redeem goes on making, refreshing and revoking grants until the context is done.
func (j *journal) redeem(ctx context.Context, s *valkey.Store) {
	for n := 0; ctx.Err() == nil; n++ {
		g := storetest.NewGrant()
		if err := s.Create(ctx, g, store.NoLimit); err != nil {
			j.add(func() { j.refused++ })
			select { // as a client that tries again does
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		j.add(func() { j.created = append(j.created, g) })
		switch n % 3 {
		case 1:
			if next, err := s.Rotate(ctx, g.ID, 1, g.RotatedAt.Add(time.Second), g.ExpiresAt.Add(time.Hour)); err == nil {
				j.add(func() { j.rotated = append(j.rotated, next) })
			}
		case 2:
			if err := s.Revoke(ctx, g.ID, store.ReasonSignedOut, time.Now()); err == nil {
				j.add(func() { j.revoked = append(j.revoked, g.ID) })
			}
		}
	}
}

func (j *journal) add(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.created)
}

// check sees that nothing that was told is lost.
func (j *journal) check(t *testing.T, s *valkey.Store) {
	t.Helper()
	for _, g := range j.created {
		if err := redeemed(t, s, again(g)); !errors.Is(err, store.ErrExists) {
			t.Fatalf("a code that was honoured before the failover: %v", err)
		}
	}
	for _, g := range j.rotated {
		if got, err := s.Get(t.Context(), g.ID); err != nil || got.Generation != g.Generation {
			t.Errorf("a refresh that was answered before the failover is lost: %+v, %v", got, err)
		}
	}
	for _, id := range j.revoked {
		if got, err := s.Get(t.Context(), id); err != nil || got.Alive(time.Now()) {
			t.Errorf("a revocation that was answered before the failover is lost: %+v, %v", got, err)
		}
	}
	found, err := s.Find(t.Context(), store.Query{AuthorizationServer: "default", UserUID: storetest.NewGrant().UserUID})
	if err != nil || len(found) < len(j.created)-len(j.revoked) {
		t.Errorf("%d grants are found, of %d: %v", len(found), len(j.created)-len(j.revoked), err)
	}
	t.Logf("%d created, %d rotated, %d revoked, %d refused", len(j.created), len(j.rotated), len(j.revoked), j.refused)
}

// working says whether codes of any slot can be redeemed.
func working(ctx context.Context, s *valkey.Store) error {
	for range 20 {
		if err := s.Create(ctx, storetest.NewGrant(), store.NoLimit); err != nil {
			return err
		}
	}
	return nil
}

// The primary is killed under load, and a replica takes its place: nothing that was told is lost, and all goes on by itself.
func TestFailoverLosesNothingThatWasTold(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (valkey.Config, *valkeyserver.Server){
		"Sentinel": func(t *testing.T) (valkey.Config, *valkeyserver.Server) {
			primary := valkeyserver.Start(t, valkeyserver.Options{})
			for range 2 {
				valkeyserver.Start(t, valkeyserver.Options{ReplicaOf: primary})
			}
			sentinel := valkeyserver.StartSentinel(t, primary)
			return valkey.Config{Addresses: []string{sentinel.Address}, MasterName: valkeyserver.MasterName}, primary
		},
		"Cluster": func(t *testing.T) (valkey.Config, *valkeyserver.Server) {
			nodes := valkeyserver.StartCluster(t, 3)
			valkeyserver.AddReplica(t, nodes[1], nodes)
			return valkey.Config{Addresses: []string{nodes[0].Address, nodes[2].Address}}, nodes[1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			config, primary := start(t)
			s, other := open(t, config), open(t, config)
			ctx, stop := context.WithCancel(t.Context())
			var j journal
			var writers sync.WaitGroup
			for i := range 8 {
				writers.Go(func() { j.redeem(ctx, []*valkey.Store{s, other}[i%2]) })
			}
			eventually(t, "there is load", func() bool { return j.count() > 200 })
			primary.Kill(t)
			began := time.Now()
			for _, replica := range []*valkey.Store{s, other} {
				var err error
				eventually(t, "every code can be redeemed again", func() bool {
					if err = working(ctx, replica); err != nil && time.Since(began) > 30*time.Second {
						t.Fatalf("every code can be redeemed again: not after %s: %v", time.Since(began), err)
					}
					return err == nil
				})
			}
			t.Logf("all goes on after %s", time.Since(began))
			stop()
			writers.Wait()
			eventually(t, "what is remembered is believed again", func() bool { return s.Connected() && other.Connected() })
			j.check(t, other)
		})
	}
}
