package valkey_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

func alone(t testing.TB) (*valkeyserver.Server, valkey.Config) {
	s := valkeyserver.Start(t, valkeyserver.Options{})
	return s, valkey.Config{Addresses: []string{s.Address}}
}

func create(t testing.TB, s *valkey.Store) *store.Grant {
	t.Helper()
	g := storetest.NewGrant()
	if err := s.Create(t.Context(), g, store.NoLimit); err != nil {
		t.Fatal(err)
	}
	return g
}

// remember reads a grant until it would be answered from memory: what the server tells of a grant that has just been written comes
// a moment later.
func remember(t testing.TB, s *valkey.Store, id string) {
	t.Helper()
	eventually(t, "the grant is remembered", func() bool {
		got, err := s.Get(t.Context(), id)
		if err != nil || !got.Alive(time.Now()) {
			t.Fatal(got, err)
		}
		return s.Remembers(id)
	})
}

// calls is how many commands of the kind the server has executed.
func calls(t testing.TB, s *valkeyserver.Server, command string) int {
	t.Helper()
	match := regexp.MustCompile(`cmdstat_` + command + `:calls=(\d+)`).FindStringSubmatch(s.Do(t, "INFO", "commandstats"))
	if match == nil {
		return 0
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAGrantThatIsKnownCostsNoRequest(t *testing.T) {
	server, config := alone(t)
	s := open(t, config)
	g := create(t, s)
	remember(t, s, g.ID)
	before := calls(t, server, "get")
	for range 1000 {
		if got, err := s.Get(t.Context(), g.ID); err != nil || !got.Alive(time.Now()) {
			t.Fatal(got, err)
		}
	}
	// One, and a few more where the race detector on a busy machine let the sign of life come late.
	if n := calls(t, server, "get") - before; n > 20 {
		t.Errorf("1000 reads of a known grant cost %d requests", n)
	}
}

func TestARevokedGrantIsDeadEverywhereWithinASecond(t *testing.T) {
	for name, start := range backends() {
		t.Run(name, func(t *testing.T) {
			config := start(t)
			a, b := open(t, config), open(t, config)
			g := create(t, a)
			remember(t, b, g.ID)
			began := time.Now()
			if err := a.Revoke(t.Context(), g.ID, store.ReasonSignedOut, began); err != nil {
				t.Fatal(err)
			}
			for {
				got, err := b.Get(t.Context(), g.ID)
				if err != nil {
					t.Fatal(err)
				}
				if !got.Alive(time.Now()) {
					break
				}
				if took := time.Since(began); took > time.Second {
					t.Fatalf("still alive after %s", took)
				}
			}
		})
	}
}

// Whatever becomes of the connection: what is remembered is not believed for longer than a second, and what can't be read is an
// error.
func TestUnreadableIsNeitherAliveNorAbsent(t *testing.T) {
	for name, outage := range map[string]struct {
		begin func(testing.TB, *valkeyserver.Server)
		end   func(testing.TB, *valkeyserver.Server)
		kept  bool
	}{
		"it hangs": {begin: func(t testing.TB, s *valkeyserver.Server) { s.Pause(t) }, end: func(t testing.TB, s *valkeyserver.Server) { s.Resume(t) }, kept: true},
		"it dies":  {begin: func(t testing.TB, s *valkeyserver.Server) { s.Kill(t) }, end: func(t testing.TB, s *valkeyserver.Server) { s.Restart(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			server, config := alone(t)
			s := open(t, config)
			known := create(t, s)
			remember(t, s, known.ID)
			outage.begin(t, server)
			began := time.Now()
			for {
				_, err := s.Get(t.Context(), known.ID)
				if errors.Is(err, store.ErrNotFound) {
					t.Fatal("a grant that can't be read is called absent")
				}
				if err != nil {
					break
				}
				if took := time.Since(began); took > time.Second {
					t.Fatalf("what was remembered is still believed after %s", took)
				}
			}
			wantUnknown(t, s, known)
			outage.end(t, server)
			eventually(t, "it recovers", func() bool { return s.Create(t.Context(), storetest.NewGrant(), store.NoLimit) == nil })
			_, err := s.Get(t.Context(), known.ID)
			if outage.kept && err != nil || !outage.kept && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after the outage: %v", err)
			}
		})
	}
}

// wantUnknown calls every method, none of which may say yes or no.
func wantUnknown(t *testing.T, s *valkey.Store, known *store.Grant) {
	t.Helper()
	ctx, device := t.Context(), storetest.NewDevice()
	if g := s.Known(ctx, known.ID); g != nil {
		t.Errorf("a grant that can't be read is known: %+v", g)
	}
	var all sync.WaitGroup
	for what, call := range map[string]func() error{
		"Create": func() error { return s.Create(ctx, storetest.NewGrant(), store.NoLimit) },
		"Revoke": func() error { return s.Revoke(ctx, known.ID, store.ReasonSignedOut, time.Now()) },
		"Rotate": func() error {
			_, err := s.Rotate(ctx, known.ID, 1, time.Now(), known.ExpiresAt)
			return err
		},
		"Find": func() error {
			_, err := s.Find(ctx, store.Query{AuthorizationServer: known.AuthorizationServer, UserUID: known.UserUID})
			return err
		},
		"Create of a device": func() error { return s.Devices().Create(ctx, device) },
		"Get of a device": func() error {
			_, err := s.Devices().Get(ctx, device.Name)
			return err
		},
		"Pending": func() error {
			_, err := s.Devices().Pending(ctx, device.ClientUID, time.Now())
			return err
		},
	} {
		all.Go(func() {
			err := call()
			if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	all.Wait()
}

func TestAServerThatComesLateIsConnectedTo(t *testing.T) {
	server, config := alone(t)
	server.Kill(t)
	s, err := valkey.New(config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx := t.Context()
	go func() { done <- s.Start(ctx) }()
	if _, err := s.Get(t.Context(), "unknown"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("before it is connected: %v", err)
	}
	if s.Connected() {
		t.Error("it says that it is connected")
	}
	server.Restart(t)
	eventually(t, "it is connected", s.Connected)
	create(t, s)
}

// A server that writes down what it does has it all when it was killed and is back.
func TestARestartOfAServerThatPersistsLosesNothing(t *testing.T) {
	server := valkeyserver.Start(t, valkeyserver.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	s := open(t, valkey.Config{Addresses: []string{server.Address}})
	grants := make([]*store.Grant, 200)
	for i := range grants {
		grants[i] = create(t, s)
	}
	if err := s.Revoke(t.Context(), grants[0].ID, store.ReasonSignedOut, time.Now()); err != nil {
		t.Fatal(err)
	}
	server.Kill(t)
	server.Restart(t)
	eventually(t, "it is believed again", s.Connected)
	for i, g := range grants {
		if got, err := s.Get(t.Context(), g.ID); err != nil || got.Alive(time.Now()) != (i > 0) {
			t.Errorf("after the restart: %+v, %v", got, err)
		}
		if err := s.Create(t.Context(), again(g), store.NoLimit); !errors.Is(err, store.ErrExists) {
			t.Errorf("a code that was redeemed before the restart: %v", err)
		}
	}
}

// again is another attempt to redeem the code of a grant.
func again(g *store.Grant) *store.Grant {
	other := *g
	other.Attempt = "another"
	return &other
}

// Nothing has to be swept: every key that is ever written forgets itself.
func TestEveryKeyExpires(t *testing.T) {
	server, config := alone(t)
	s := open(t, config)
	g := create(t, s)
	if _, err := s.Rotate(t.Context(), g.ID, 1, time.Now(), time.Now().Add(100*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), create(t, s).ID, store.ReasonSignedOut, time.Now()); err != nil {
		t.Fatal(err)
	}
	over := create(t, s)
	if _, err := s.Rotate(t.Context(), over.ID, 1, time.Now(), time.Now().Add(100*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // which changes nothing
		if err := s.Revoke(t.Context(), over.ID, store.ReasonSignedOut, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	deleted := create(t, s)
	if err := s.Delete(t.Context(), deleted.ID); err != nil {
		t.Fatal(err)
	}
	d := storetest.NewDevice()
	if err := s.Devices().Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if err := s.Devices().Decide(t.Context(), d.Name, d.ID, storetest.NewDecision()); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	const script = `local bad, all = {}, redis.call('KEYS', '*')
for _, k in ipairs(all) do if redis.call('PTTL', k) < 0 then bad[#bad + 1] = k end end
return {#all, bad}`
	if got := server.Do(t, "EVAL", script, "0"); !regexp.MustCompile(`^\[\d\d \[\]\]$`).MatchString(got) {
		t.Errorf("keys, and those that stay for good: %s", got)
	}
	for id, between := range map[string][2]time.Duration{
		g.ID: {100 * time.Hour, 101 * time.Hour}, over.ID: {24 * time.Hour, 25 * time.Hour}, deleted.ID: {2 * time.Minute, 4 * time.Minute},
	} {
		left := server.Do(t, "PTTL", fmt.Sprintf("latchkey:grant:{%s}", id))
		if ms, err := strconv.Atoi(left); err != nil || time.Duration(ms)*time.Millisecond < between[0] || time.Duration(ms)*time.Millisecond > between[1] {
			t.Errorf("what is to be known for %s is kept for %s ms", between, left)
		}
	}
}
