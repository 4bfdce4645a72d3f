package kubernetes_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/kubernetes"
)

// clock is the wall clock, set forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func TestUnreadableIsNotAbsent(t *testing.T) {
	cp, err := controlplane.Start(t.Context(), controlplane.Options{Manifests: manifests, NoControllerManager: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	var c clock
	r := newReplica(t, cp, "default", c.now, nil)
	known := newGrant(t)
	create(t, r, known)
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(t.Context(), known.ID); err != nil {
		t.Errorf("a known grant during an outage: %v", err)
	}
	unknown := newGrant(t)
	if _, err := r.Get(t.Context(), unknown.ID); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown grant during an outage: %v", err)
	}
	if err := r.Create(t.Context(), unknown, store.NoLimit); err == nil || errors.Is(err, store.ErrExists) {
		t.Errorf("create during an outage: %v", err)
	}
	if err := r.Revoke(t.Context(), known.ID, store.ReasonCodeReplayed, c.now()); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoke during an outage: %v", err)
	}
	c.ahead.Store(int64(6 * time.Minute))
	if r.Current() {
		t.Error("after 6 minutes without a word the watch still counts as alive")
	}
	if _, err := r.Get(t.Context(), known.ID); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("what the watch said 6 minutes ago is still taken for the truth: %v", err)
	}
	if g := r.Known(t.Context(), known.ID); g != nil {
		t.Errorf("what the watch said 6 minutes ago is known: %+v", g)
	}
	if err := cp.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the watch is alive again", func(context.Context) (bool, error) { return r.Current(), nil })
	if _, err := r.Get(t.Context(), known.ID); err != nil {
		t.Error(err)
	}
	create(t, r, unknown)

	if _, _, err := cp.Kubectl(t.Context(), "delete", "customresourcedefinition", "oauthgrants.oauth.latchkey.io"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a kind that is not served says nothing about its objects", func(ctx context.Context) (bool, error) {
		_, err := r.Get(ctx, newID(t))
		return err != nil && !errors.Is(err, store.ErrNotFound), nil
	})
}

// faulty breaks the first requests of a method on their way to the real API server or back.
type faulty struct {
	http.RoundTripper
	method  string       // POST when empty
	faults  atomic.Int64 // how many are left
	deliver bool         // the request arrives; its answer does not
	status  int          // answered in place of the real answer, 0 for a broken connection
}

var errBroken = errors.New("connection reset by the test")

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != cmp.Or(f.method, http.MethodPost) || f.faults.Add(-1) < 0 {
		return f.RoundTripper.RoundTrip(r)
	}
	if !f.deliver {
		return nil, errBroken
	}
	response, err := f.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if f.status == 0 {
		return nil, errBroken
	}
	return &http.Response{StatusCode: f.status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// crowd counts the requests that write and are under way at once.
type crowd struct {
	http.RoundTripper
	now, most atomic.Int64
}

func (c *crowd) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return c.RoundTripper.RoundTrip(r)
	}
	defer c.now.Add(-1)
	now := c.now.Add(1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	return c.RoundTripper.RoundTrip(r)
}

// However many ask at once, the API server is asked for so much at once and no more, and all are served.
func TestRequestsAtOnceAreBounded(t *testing.T) {
	c := &crowd{}
	r := newReplica(t, cluster, newNamespace(t), nil, func(next http.RoundTripper) http.RoundTripper {
		c.RoundTripper = next
		return c
	})
	var all sync.WaitGroup
	for range 4 * kubernetes.MaxCalls {
		g := newGrant(t)
		g.Generation, g.RefreshUntil = 1, g.ExpiresAt
		all.Go(func() {
			if err := r.Create(t.Context(), g, store.NoLimit); err != nil {
				t.Error(err)
				return
			}
			if _, err := r.Rotate(t.Context(), g.ID, 1, time.Now(), g.ExpiresAt); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most := c.most.Load(); most > kubernetes.MaxCalls || most < 2 {
		t.Errorf("%d at once", most)
	}
}

func TestUnknownOutcomeIsDecidedByTheStoredAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		faults  int64
		deliver bool
		status  int
		writes  int64
		created bool
	}{
		"the answer is lost":             {faults: 1, deliver: true, writes: 1, created: true},
		"the answer is 500":              {faults: 1, deliver: true, status: 500, writes: 1, created: true},
		"the answer is 504":              {faults: 1, deliver: true, status: 504, writes: 1, created: true},
		"the request is lost":            {faults: 1, writes: 2, created: true},
		"all requests are lost":          {faults: 10, writes: 2},
		"the request, then both answers": {faults: 2, deliver: true, writes: 1, created: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := &faulty{deliver: test.deliver, status: test.status}
			f.faults.Store(test.faults)
			r := newReplica(t, cluster, newNamespace(t), nil, func(next http.RoundTripper) http.RoundTripper {
				f.RoundTripper = next
				return f
			})
			err := r.Create(t.Context(), newGrant(t), store.NoLimit)
			if (err == nil) != test.created || errors.Is(err, store.ErrExists) {
				t.Errorf("got %v", err)
			}
			if n := r.writes.Load(); n != test.writes {
				t.Errorf("%d writes, want %d", n, test.writes)
			}
		})
	}
}

func TestUnknownOutcomeOfASecondAttemptIsExists(t *testing.T) {
	namespace := newNamespace(t)
	first := newReplica(t, cluster, namespace, nil, nil)
	f := &faulty{deliver: true}
	f.faults.Store(1)
	second := newIdleReplica(t, cluster, namespace, nil, func(next http.RoundTripper) http.RoundTripper {
		f.RoundTripper = next
		return f
	})
	grant := newGrant(t)
	create(t, first, grant)
	if err := second.Create(t.Context(), again(t, grant), store.NoLimit); !errors.Is(err, store.ErrExists) {
		t.Errorf("got %v", err)
	}
}

func TestACancelledCreateIsAnError(t *testing.T) {
	r := newReplica(t, cluster, newNamespace(t), nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Create(ctx, newGrant(t), store.NoLimit); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
