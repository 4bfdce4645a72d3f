package workload_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/workload"
	"github.com/latchkey-io/latchkey/server/workload/workloadtest"
)

const (
	issuer = "https://login.example.com"
	other  = "https://other.example.com"
)

var cluster *workloadtest.Cluster

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{NoControllerManager: true}, func(cp *controlplane.ControlPlane) error {
		var err error
		cluster, err = workloadtest.New(cp)
		return err
	}))
}

// photos is a ResourceServer of the callers' namespace.
func photos() *registry.Resource {
	return &registry.Resource{Identifier: "https://photos.demo.svc", Namespace: workloadtest.Namespace, Name: "photos"}
}

// clock is one that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// from is where callers are, unless a test is about that.
var from = netip.MustParseAddr("192.0.2.1")

func authenticate(t *testing.T, c *workload.Callers, raw string, audiences ...string) *workload.Caller {
	t.Helper()
	caller, err := c.Authenticate(t.Context(), from, audiences, raw)
	if err != nil {
		t.Fatal(err)
	}
	return caller
}

func wantReview(t *testing.T, c *workload.Callers, who *workload.Caller, r *registry.Resource, want bool) {
	t.Helper()
	if got, err := c.MayReview(t.Context(), who, r); err != nil || got != want {
		t.Errorf("may %s review tokens for %s/%s: %t, %v; want %t", who.Username(), r.Namespace, r.Name, got, err, want)
	}
}

func TestAServiceAccountProvesItself(t *testing.T) {
	c, w := cluster.Callers(t, time.Now)
	account := cluster.Account(t)
	raw := cluster.Token(t, account, issuer)
	for range 3 {
		if got := authenticate(t, c, raw, other, issuer).Username(); got != "system:serviceaccount:demo:"+account {
			t.Errorf("it is %s", got)
		}
	}
	if n := w.Requests("tokenreviews"); n != 1 {
		t.Errorf("three calls cost %d TokenReviews", n)
	}
}

func TestUnproven(t *testing.T) {
	c, w := cluster.Callers(t, time.Now)
	account, gone := cluster.Account(t), cluster.Account(t)
	good, deleted := cluster.Token(t, account, issuer), cluster.Token(t, gone, issuer)
	cluster.Remove(t, gone)
	for name, test := range map[string]struct {
		raw       string
		audiences []string
		asks      int
	}{
		"for kube-apiserver":                 {cluster.Token(t, account), []string{issuer}, 1},
		"for another service":                {cluster.Token(t, account, "https://vault.example.com"), []string{issuer}, 1},
		"for another issuer":                 {cluster.Token(t, account, other), []string{issuer}, 1},
		"of a deleted ServiceAccount":        {deleted, []string{issuer}, 1},
		"with a broken signature":            {good[:len(good)-4] + "AAAA", []string{issuer}, 1},
		"of ours, as kube-apiserver asks us": {good, []string{issuer, controlplane.Issuer}, 0},
		"no JWT":                             {"opaque", []string{issuer}, 0},
		"nothing":                            {"", []string{issuer}, 0},
		"larger than any":                    {good + strings.Repeat("A", 64<<10), []string{issuer}, 0},
		"held against no audience":           {cluster.Token(t, account), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.Requests("tokenreviews")
			if caller, err := c.Authenticate(t.Context(), from, test.audiences, test.raw); !errors.Is(err, workload.ErrUnproven) {
				t.Errorf("got %+v, %v", caller, err)
			}
			if asked := w.Requests("tokenreviews") - before; asked != test.asks {
				t.Errorf("kube-apiserver was asked %d times, want %d", asked, test.asks)
			}
		})
	}
}

// What is remembered of a token counts for the audiences that it was held against, and for no others: neither a yes nor a no.
func TestWhatIsRememberedIsBoundToTheAudiences(t *testing.T) {
	c, _ := cluster.Callers(t, time.Now)
	raw := cluster.Token(t, cluster.Account(t), issuer)
	for range 2 {
		if _, err := c.Authenticate(t.Context(), from, []string{other}, raw); !errors.Is(err, workload.ErrUnproven) {
			t.Errorf("at another issuer: %v", err)
		}
		authenticate(t, c, raw, issuer)
		authenticate(t, c, raw, other, issuer)
	}
}

func TestMayReview(t *testing.T) {
	c, w := cluster.Callers(t, time.Now)
	orders := &registry.Resource{Identifier: "https://orders.shop.svc", Namespace: "shop", Name: "orders"}
	kubernetes := photos()
	kubernetes.Kubernetes = true
	for name, test := range map[string]struct {
		verb           string
		names          []string
		photos, orders bool
	}{
		"no right at all":            {},
		"the right to read":          {verb: "get"},
		"the right for another":      {verb: "review", names: []string{"other"}},
		"the right for this one":     {verb: "review", names: []string{"photos"}, photos: true},
		"the right in its namespace": {verb: "review", photos: true},
		"every right there":          {verb: "*", photos: true},
	} {
		t.Run(name, func(t *testing.T) {
			account := cluster.Account(t)
			if test.verb != "" {
				cluster.Allow(t, account, test.verb, test.names...)
			}
			caller := authenticate(t, c, cluster.Token(t, account, issuer), issuer)
			wantReview(t, c, caller, photos(), test.photos)
			wantReview(t, c, caller, orders, test.orders)
			before := w.Requests("subjectaccessreviews")
			wantReview(t, c, caller, photos(), test.photos)
			wantReview(t, c, caller, kubernetes, false)
			if n := w.Requests("subjectaccessreviews") - before; n != 0 {
				t.Errorf("what is known, or never allowed, cost %d SubjectAccessReviews", n)
			}
		})
	}
}

func TestAnswersAreKeptForSeconds(t *testing.T) {
	now := newClock()
	c, _ := cluster.Callers(t, now.Now)
	account := cluster.Account(t)
	raw := cluster.Token(t, account, issuer)
	caller := authenticate(t, c, raw, issuer)
	wantReview(t, c, caller, photos(), false)
	cluster.Allow(t, account, "review", "photos")
	wantReview(t, c, caller, photos(), false)
	now.advance(3 * time.Second)
	wantReview(t, c, caller, photos(), true)
	cluster.Remove(t, account)
	authenticate(t, c, raw, issuer) // from memory
	// kube-apiserver keeps what it found out about a token for 10 s as well.
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		now.advance(11 * time.Second)
		_, err := c.Authenticate(ctx, from, []string{issuer}, raw)
		return errors.Is(err, workload.ErrUnproven), nil
	})
	if err != nil {
		t.Errorf("a deleted ServiceAccount is still a caller: %v", err)
	}
}

// Row: starving others: who sends forged tokens from one network, and has kube-apiserver asked about each, has a few questions under way;
// a caller from another network is proven meanwhile, and may review.
func TestForgedTokensDoNotKeepOthersWaiting(t *testing.T) {
	c, w := cluster.Callers(t, time.Now)
	account := cluster.Account(t)
	cluster.Allow(t, account, "review")
	honest, forged := cluster.Token(t, account, issuer), cluster.Token(t, cluster.Account(t), issuer)
	payload := strings.Split(forged, ".")[1]
	release := w.Hold(payload)
	defer release()
	var forgers sync.WaitGroup
	for i := range 200 {
		raw := fmt.Sprintf("%s%04d", forged[:len(forged)-4], i)
		forgers.Go(func() {
			if _, err := c.Authenticate(t.Context(), from, []string{issuer}, raw); !errors.Is(err, workload.ErrUnproven) && !errors.Is(err, workload.ErrBusy) {
				t.Errorf("a forged token: %v", err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const share = 4
	err := wait.PollUntilContextCancel(ctx, time.Millisecond, true, func(context.Context) (bool, error) { return w.Requests("tokenreviews") >= share, nil })
	if err != nil {
		t.Fatal(err)
	}
	caller, err := c.Authenticate(ctx, netip.MustParseAddr("192.0.2.2"), []string{issuer}, honest)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := c.MayReview(ctx, caller, photos()); err != nil || !ok {
		t.Errorf("%v, %v", ok, err)
	}
	if n := w.Requests("tokenreviews"); n != share+1 {
		t.Errorf("%d questions; want %d about one network's callers, and one about the other's", n, share)
	}
	release()
	forgers.Wait()
}

func TestAnAPIServerThatIsAwayIsNotANo(t *testing.T) {
	cp, err := controlplane.Start(t.Context(), controlplane.Options{NoControllerManager: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	alone, err := workloadtest.New(cp)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := alone.Callers(t, time.Now)
	known, unknown := alone.Token(t, alone.Account(t), issuer), alone.Token(t, alone.Account(t), issuer)
	caller := authenticate(t, c, known, issuer)
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	authenticate(t, c, known, issuer) // who was proven a moment ago still is
	if _, err := c.Authenticate(t.Context(), from, []string{issuer}, unknown); err == nil || errors.Is(err, workload.ErrUnproven) {
		t.Errorf("an unknown caller: %v", err)
	}
	if namespace, name, err := c.ServiceAccount(t.Context(), from, issuer, unknown); err == nil {
		t.Errorf("an unknown token is answered with %q %q", namespace, name)
	}
	if _, err := c.MayReview(t.Context(), caller, photos()); err == nil {
		t.Error("what a caller may do was answered by nobody")
	}
}
