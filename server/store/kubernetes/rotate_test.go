package kubernetes_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// newRefreshable is a grant with a refresh token.
func newRefreshable(t testing.TB) *store.Grant {
	g := newGrant(t)
	g.Generation, g.RefreshUntil = 1, g.ExpiresAt.Add(720*time.Hour)
	return g
}

func rotate(t testing.TB, r *replica, g *store.Grant, from int64) (*store.Grant, error) {
	return r.Rotate(t.Context(), g.ID, from, g.AuthTime.Add(time.Duration(from)*time.Minute), g.ExpiresAt.Add(time.Duration(from)*time.Hour))
}

// A refresh costs one write, however many present the token at once: one of each replica that had to find out.
func TestRotateIsOneWrite(t *testing.T) {
	namespace := newNamespace(t)
	a, b := newReplica(t, cluster, namespace, nil, nil), newReplica(t, cluster, namespace, nil, nil)
	grant := newRefreshable(t)
	create(t, a, grant)
	before := a.writes.Load()
	for from := range int64(3) {
		if _, err := rotate(t, a, grant, from+1); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.writes.Load() - before; n != 3 {
		t.Errorf("3 rotations cost %d writes", n)
	}
	eventually(t, "the other replica knows of them", func(ctx context.Context) (bool, error) {
		g, err := b.Get(ctx, grant.ID)
		return err == nil && g.Generation == 4, err
	})
	before = a.writes.Load()
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			_, err := rotate(t, []*replica{a, b}[i%2], grant, 4)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := a.writes.Load() - before + b.writes.Load(); won.Load() != 1 || n > 2 {
		t.Errorf("%d of 100 rotated the grant, with %d writes", won.Load(), n)
	}
}

func TestUnknownOutcomeOfARotationIsReadLive(t *testing.T) {
	for name, test := range map[string]struct {
		faults     int64
		deliver    bool
		status     int
		writes     int64
		want       error
		generation int64
	}{
		"the answer is lost":      {faults: 1, deliver: true, writes: 1, want: store.ErrConflict, generation: 2},
		"the answer is 500":       {faults: 1, deliver: true, status: 500, writes: 1, want: store.ErrConflict, generation: 2},
		"the answer is 504":       {faults: 1, deliver: true, status: 504, writes: 1, want: store.ErrConflict, generation: 2},
		"the request is lost":     {faults: 1, writes: 2, generation: 2},
		"three requests are lost": {faults: 3, writes: 4, generation: 2},
		"all requests are lost":   {faults: 10, writes: 5, want: errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			f := &faulty{method: http.MethodPatch, deliver: test.deliver, status: test.status}
			f.faults.Store(test.faults)
			r := newReplica(t, cluster, newNamespace(t), nil, func(next http.RoundTripper) http.RoundTripper {
				f.RoundTripper = next
				return f
			})
			grant := newRefreshable(t)
			create(t, r, grant)
			got, err := rotate(t, r, grant, 1)
			if !errors.Is(err, test.want) || test.generation > 0 && got.Generation != test.generation {
				t.Errorf("got %+v, %v", got, err)
			}
			if n := r.writes.Load() - 1; n != test.writes {
				t.Errorf("%d writes, want %d", n, test.writes)
			}
		})
	}
}

// An outcome that can't be read is neither a success nor a conflict.
func TestRotateDuringAnOutageIsUnknown(t *testing.T) {
	var down atomic.Bool
	r := newReplica(t, cluster, newNamespace(t), nil, func(next http.RoundTripper) http.RoundTripper {
		return transport(func(request *http.Request) (*http.Response, error) {
			if down.Load() {
				return nil, errBroken
			}
			return next.RoundTrip(request)
		})
	})
	grant := newRefreshable(t)
	create(t, r, grant)
	down.Store(true)
	for _, from := range []int64{1, 2} { // what is in memory may be old, so that a conflict is not known either
		if got, err := rotate(t, r, grant, from); err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("from %d: %+v, %v", from, got, err)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// gate holds back what a watch tells.
type gate struct{ closed atomic.Pointer[chan struct{}] }

func (g *gate) hold(t *testing.T) (release func()) {
	held := make(chan struct{})
	g.closed.Store(&held)
	release = sync.OnceFunc(func() {
		g.closed.Store(nil)
		close(held)
	})
	t.Cleanup(release)
	return release
}

func (g *gate) wrap(next http.RoundTripper) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if err == nil && r.URL.Query().Get("watch") != "" {
			response.Body = &gated{response.Body, g}
		}
		return response, err
	})
}

type gated struct {
	io.ReadCloser
	gate *gate
}

func (b *gated) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if held := b.gate.closed.Load(); held != nil {
		<-*held
	}
	return n, err
}

// What a replica still takes for expired, and another has refreshed, is good.
func TestAnExpiredGrantMayHaveBeenRefreshedElsewhere(t *testing.T) {
	namespace := newNamespace(t)
	var c clock
	var g gate
	a, b := newReplica(t, cluster, namespace, c.now, nil), newReplica(t, cluster, namespace, c.now, g.wrap)
	grant := newRefreshable(t)
	grant.ExpiresAt = grant.AuthTime.Add(2 * time.Minute) // sooner than a watch that says nothing is given up
	create(t, a, grant)
	eventually(t, "the other replica has it in memory", func(ctx context.Context) (bool, error) {
		found, err := b.Find(ctx, store.Query{AuthorizationServer: "default", UserUID: grant.UserUID})
		return len(found) == 1, err
	})
	release := g.hold(t)
	until := grant.ExpiresAt.Add(time.Hour)
	if _, err := a.Rotate(t.Context(), grant.ID, 1, c.now(), until); err != nil {
		t.Fatal(err)
	}
	if old, err := b.Get(t.Context(), grant.ID); err != nil || !old.ExpiresAt.Equal(grant.ExpiresAt) {
		t.Fatalf("the replica is not behind: %+v, %v", old, err)
	}
	c.ahead.Store(int64(time.Until(grant.ExpiresAt) + time.Second))
	if got, err := b.Get(t.Context(), grant.ID); err != nil || !got.Alive(c.now()) {
		t.Errorf("got %+v, %v", got, err)
	}
	release()
	eventually(t, "the watch tells of it", func(ctx context.Context) (bool, error) {
		found, err := b.Find(ctx, store.Query{AuthorizationServer: "default", UserUID: grant.UserUID})
		return len(found) == 1 && found[0].ExpiresAt.Equal(until), err
	})
}

func TestRenewWritesWhenDueOnly(t *testing.T) {
	r := newReplica(t, cluster, newNamespace(t), nil, nil)
	grant := newRefreshable(t)
	create(t, r, grant)
	before := r.writes.Load()
	at, until := grant.AuthTime.Add(time.Hour), grant.ExpiresAt.Add(time.Hour)
	for range 3 {
		got, err := r.Renew(t.Context(), grant.ID, 1, at, until)
		if err != nil || got.Generation != 1 || !got.RotatedAt.Equal(at) || !got.ExpiresAt.Equal(until) {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if n := r.writes.Load() - before; n != 1 {
		t.Errorf("three renewals to the same time cost %d writes", n)
	}
}

// A grant that somebody else changed in between, as the garbage collector does, is rotated all the same.
func TestRotateOfAGrantWithAnotherVersion(t *testing.T) {
	namespace := newNamespace(t)
	r := newReplica(t, cluster, namespace, nil, nil)
	grant := newRefreshable(t)
	create(t, r, grant)
	for range 3 {
		if _, _, err := cluster.Kubectl(t.Context(), "annotate", "oauthgrant", grant.ID, "--namespace="+namespace, "--overwrite", "at="+newID(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := rotate(t, r, grant, 1); err != nil || got.Generation != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFindByWhatIsTooOldIsAnError(t *testing.T) {
	namespace := newNamespace(t)
	q := store.Query{AuthorizationServer: "default", UserUID: "user-uid"}
	idle := newIdleReplica(t, cluster, namespace, nil, nil)
	if found, err := idle.Find(t.Context(), q); err == nil {
		t.Errorf("before the grants were read: %v", found)
	}
	var c clock
	r := newReplica(t, cluster, namespace, c.now, nil)
	create(t, r, newGrant(t))
	if found, err := r.Find(t.Context(), q); err != nil || len(found) != 1 {
		t.Errorf("found %d, %v", len(found), err)
	}
	c.ahead.Store(int64(6 * time.Minute))
	if found, err := r.Find(t.Context(), q); err == nil {
		t.Errorf("after 6 minutes without a word: %v", found)
	}
}

// BenchmarkRotate is what a refresh costs at the API server.
func BenchmarkRotate(b *testing.B) {
	r := newReplica(b, cluster, newNamespace(b), nil, nil)
	grant := newRefreshable(b)
	if err := r.Create(b.Context(), grant, store.NoLimit); err != nil {
		b.Fatal(err)
	}
	before, from := r.writes.Load(), int64(0)
	for b.Loop() {
		from++
		if _, err := r.Rotate(b.Context(), grant.ID, from, grant.AuthTime.Add(time.Duration(from)*time.Second), grant.ExpiresAt); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(r.writes.Load()-before)/float64(b.N), "writes/op")
}
