package chaos

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// soakSpec has everything come to its end within minutes, so that as much ends as begins for most of the time.
const soakSpec = `, lifetimes: {session: 4m, accessToken: 1m, refreshToken: 4m, refreshTokenIdle: 4m}` +
	`, signing: {rotation: {interval: 60s, publishAhead: 10s}}`

const (
	// judgedFrom is how long a soak lasts at least whose figures are judged: a quarter of it is longer than anything lives.
	judgedFrom = 20 * time.Minute
	// leastSamples is how many samples there are of the shortest soak.
	leastSamples = 3
)

// soak is a site under mixed work for a long time.
type soak struct {
	*site
	pace *pace
	// signedIn are users whose sessions have not ended.
	signedIn []atomic.Pointer[browser.Browser]
	// known is an access token that is good, presented by many requests.
	known   atomic.Pointer[string]
	samples []sample
	// chores counts what was done one after another.
	signIns, churned, rotated int
}

// A site does all that sites do for as long as -soak says: users sign in, flows begin, are refreshed, end and are revoked, tokens are
// reviewed and introspected, strangers are refused, clients come, change and go, keys and secrets rotate. No request fails, and neither
// memory nor goroutines, files or waiting times grow.
func TestSoak(t *testing.T) {
	r := newReport(t, "mixed work for %v", *soakFor)
	s := &soak{site: newSiteOf(t, r, layout{servers: 2, controllers: 2, spec: soakSpec})}
	s.apply(strings.ReplaceAll(rotatingClient, "NAME", s.name))
	must(t, api.Patch(t.Context(), s.orders(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"introspection":{"clients":["machine"]}}}`))))
	s.honoured("--namespace="+s.name, "oauthclient/rotating", "resourceserver/orders")
	s.renewKnown()
	eventually(t, "the machine may introspect", func(ctx context.Context) (bool, error) { return s.introspect(ctx) == nil, nil })
	defer func() { r.Samples = s.samples }() // those until a failure, too
	s.start()
	s.chores(time.Now())
	s.pace.end()
	r.tried("%s", s.pace)
	r.tried("%d sign-ins, %d clients came, changed and went, %d rotations of a secret, %d keys in the end", s.signIns, s.churned, s.rotated, len(s.issuerKeys(t.Context())))
	if n := r.failures(); n > 0 {
		r.broken("%d requests failed: %s", n, r.answers())
	}
	s.judge()
}

// start begins all that happens at a rate.
func (s *soak) start() {
	s.t.Helper()
	s.signedIn = make([]atomic.Pointer[browser.Browser], len(s.users))
	for i, u := range s.users {
		s.signedIn[i].Store(u)
	}
	s.pace = newPace(s.t.Context(), s.report,
		work{"flow", 250 * time.Millisecond, s.flow},
		work{"client_credentials", 25 * time.Millisecond, s.machine},
		work{"review", 20 * time.Millisecond, s.reviewKnown},
		work{"introspection", 100 * time.Millisecond, s.introspect},
		work{"userinfo", 200 * time.Millisecond, s.userinfo},
		work{"refusal", 100 * time.Millisecond, s.stranger},
		work{"rotating client", 500 * time.Millisecond, s.proves},
	)
}

// chores does, until the soak is over, what happens now and then, one thing after another.
func (s *soak) chores(begin time.Time) {
	s.t.Helper()
	every := max(*soakFor/60, time.Second)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	next := begin
	for i := 0; ; i++ {
		s.renewKnown()
		if i%5 == 0 {
			s.churn(i)
		}
		if i%15 == 0 {
			s.renewSession(i / 15 % len(s.signedIn))
		}
		if i%60 == 0 {
			s.rotateSecret(i)
		}
		now := <-tick.C
		if now.Before(next) {
			continue
		}
		s.samples = append(s.samples, s.sample(now.Sub(begin)))
		if next = next.Add(every); now.Sub(begin) >= *soakFor && len(s.samples) >= leastSamples {
			return
		}
	}
}

func (s *site) orders() *v1alpha1.ResourceServer {
	rs := &v1alpha1.ResourceServer{}
	rs.Namespace, rs.Name = s.name, "orders"
	return rs
}

// renewKnown gets an access token that lives as long as one can.
func (s *soak) renewKnown() {
	a, _, err := s.insistAs(s.t.Context(), "machine", machineSecret)
	must(s.t, err)
	s.known.Store(&a.AccessToken)
}

// renewSession has a user sign in anew.
func (s *soak) renewSession(i int) {
	s.t.Helper()
	f := s.signIn(s.userName(i), s.client.Transport)
	must(s.t, f.redeem(s.t.Context()))
	s.signedIn[i].Store(f.user)
	s.signIns++
}

// churn makes a client, has it prove itself, changes it, and deletes it.
func (s *soak) churn(i int) {
	s.t.Helper()
	name := fmt.Sprintf("passing-%d", i)
	s.apply(strings.NewReplacer("rotating", name, "NAME", s.name).Replace(rotatingClient))
	s.honoured("--namespace="+s.name, "oauthclient/"+name)
	must(s.t, s.provesAs(s.t.Context(), name))
	c := &v1alpha1.OAuthClient{}
	c.Namespace, c.Name = s.name, name
	must(s.t, api.Patch(s.t.Context(), c, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"displayName":"Another Name"}}`))))
	must(s.t, api.Delete(s.t.Context(), c))
	s.churned++
}

// rotateSecret has a client given a new secret.
func (s *soak) rotateSecret(i int) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"%d"}}}`, v1alpha1.AnnotationRotate, i)
	must(s.t, api.Patch(s.t.Context(), s.rotating(), client.RawPatch(types.MergePatchType, []byte(patch))))
	s.rotated++
}

// flow is one from the authorization request to the last refresh. Every other one is revoked then.
func (s *soak) flow(ctx context.Context) error {
	f := s.newFlow()
	f.user = s.signedIn[slices.Index(s.users, f.user)].Load()
	if err := f.begin(ctx); err != nil || len(f.refreshes) == 0 {
		return err // a code that was lost is reported
	}
	for range refreshesEach {
		if err := f.refresh(ctx); err != nil {
			return err
		}
	}
	server := s.servers[len(f.verifier)%len(s.servers)]
	for _, token := range f.accesses {
		if err := s.reviewed(ctx, server.review, token, true); err != nil {
			return err
		}
	}
	if f.verifier[0] < 'M' {
		return nil
	}
	return s.revoke(ctx, f)
}

// judge reports what grew: the second quarter of the soak beside the last.
func (s *soak) judge() {
	if *soakFor < judgedFrom {
		s.report.tried("too short to judge what grows")
		return
	}
	n := len(s.samples)
	early, late := s.samples[n/4:n/2], s.samples[n-n/4:]
	for _, name := range slices.Sorted(maps.Keys(late[0].Figures)) {
		before, after := median(early, name), median(late, name)
		s.report.tried("%s: %.4g in the second quarter, %.4g in the last", name, before, after)
		if most := allowed(name, before); after > most {
			s.report.broken("%s grows: %.4g in the second quarter, %.4g in the last; %.4g would do", name, before, after, most)
		}
	}
}

// allowed is how much of something there may be in the end. Memory and counts may differ by what garbage and connections come to; times
// are those of a machine that does other things too.
func allowed(name string, before float64) float64 {
	switch {
	case strings.HasSuffix(name, "p99 ms"), strings.HasSuffix(name, "p50 ms"):
		return 1.5*before + 20
	case strings.HasSuffix(name, "MiB"):
		return 1.1*before + 8
	}
	return 1.1*before + 20
}

func median(samples []sample, name string) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, s.Figures[name])
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// expect is an error where an answer is another than the one that is right.
func expect(what string, status, want int, err error) error {
	if err == nil && status != want {
		err = fmt.Errorf("HTTP %d instead of %d %s", status, want, http.StatusText(want))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
