package usage

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

func TestFailedWriteIsTriedAgainAndLoggedOnce(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	other, second := newClient(t, "one")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	r.caughtUp(t, other)
	r.broken.Store(true)
	r.use(shop, "one", 1)
	r.use(second, "one", 1)
	for range 10 {
		r.round(t.Context())
	}
	if n := r.patches.Load(); n != 2 {
		t.Errorf("%d writes without a pause", n)
	}
	for range 5 {
		c.advance(retryAfter)
		r.round(t.Context())
		r.round(t.Context())
	}
	if n := r.patches.Load(); n != 12 || r.written(Failed) != 12 {
		t.Errorf("%d writes of two clients in five minutes: %v", n, r.results)
	}
	if n := r.log.count("\n"); n != 1 || r.log.count("can't be written") != 1 {
		t.Errorf("%d lines in the log", n)
	}
	r.broken.Store(false)
	c.advance(retryAfter)
	at := r.use(shop, "one", 1)
	r.use(second, "one", 1)
	r.round(t.Context())
	usedAt(t, object, map[string]time.Time{"one": at})
	usedAt(t, other, map[string]time.Time{"one": at})
	if n := r.log.count("\n"); n != 2 || r.log.count("is written to status again") != 1 {
		t.Errorf("%d lines in the log", n)
	}
}

// A client whose status can't be written, for whatever reason, does not keep the others from theirs.
func TestOneClientThatFailsDoesNotStopTheOthers(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	other, second := newClient(t, "one")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	r.caughtUp(t, other)
	r.broken.Store(true)
	r.use(shop, "one", 1)
	r.round(t.Context())
	r.broken.Store(false)
	at := r.use(second, "one", 1)
	r.round(t.Context())
	usedAt(t, other, map[string]time.Time{"one": at})
	usedAt(t, object, nil)
}

// At the end what is known is written, an hour behind or not.
func TestWhatIsKnownIsWrittenAtTheEnd(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	quiet, unused := newClient(t, "one")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	r.caughtUp(t, quiet)
	r.use(shop, "one", 1)
	r.use(unused, "one", 1)
	r.round(t.Context())
	r.caughtUp(t, object)
	r.caughtUp(t, quiet)
	r.round(t.Context())
	c.advance(10 * time.Minute)
	at := r.use(shop, "one", 1)
	quicker := func() { // the controller, say
		change(t, object, func(s *v1alpha1.OAuthClientStatus) { s.Secrets = secretsOf("new", "one") })
	}
	r.before.Store(&quicker)
	writes := r.patches.Load()
	r.Flush(t.Context())
	usedAt(t, object, map[string]time.Time{"one": at})
	if n := r.patches.Load() - writes; n != 2 || r.written(Conflicted) != 1 {
		t.Errorf("%d writes: %v", n, r.results)
	}
	writes = r.patches.Load()
	r.Flush(t.Context())
	if r.patches.Load() != writes {
		t.Error("written again")
	}
}

func TestTheEndIsNotHeldUp(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	r.use(shop, "one", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Flush(ctx)
	if r.patches.Load() != 0 || r.log.count("before the end") != 1 {
		t.Error("out of time, and still writing")
	}
	r.broken.Store(true)
	r.Flush(t.Context())
	if r.log.count("before the end") != 2 || r.log.count("\n") != 2 {
		t.Error("what could not be written was not told")
	}
	usedAt(t, object, nil)
}

// A busy moment is spread: many clients at once wait for each other, and none is forgotten.
func TestWritesAreLimited(t *testing.T) {
	c := newClock()
	r := newReplica(t, c)
	const clients = 3
	r.limiter.SetBurst(1)
	r.limiter.SetLimit(10)
	var objects []*v1alpha1.OAuthClient
	for range clients {
		object, shop := newClient(t, "one")
		r.caughtUp(t, object)
		r.use(shop, "one", 1)
		objects = append(objects, object)
	}
	r.limiter.Allow()
	begin := time.Now()
	r.round(t.Context())
	if took := time.Since(begin); took < clients*90*time.Millisecond {
		t.Errorf("%d writes in %v", clients, took)
	}
	for _, object := range objects {
		usedAt(t, object, map[string]time.Time{"one": c.now()})
	}
}

func TestARoundEndsWithTheProcess(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	r.use(shop, "one", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.round(ctx)
	if r.patches.Load() != 0 || r.log.count("\n") != 0 {
		t.Error("a round that was ended writes, or complains")
	}
}

func TestAProcessThatEndsWhileItStartsIsNoFailure(t *testing.T) {
	r := newReplica(t, newClock())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Start(ctx); err != nil {
		t.Error(err)
	}
}
