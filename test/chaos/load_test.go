package chaos

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// refreshesEach is how often each flow is refreshed. The last one but one replaces the first refresh token's successor, so that the first
// is beyond its grace.
const refreshesEach = 2

// load is flows that begin and end without pause, so many at a time.
type load struct {
	site *site
	stop chan struct{}
	// done counts what was answered for good: redemptions and refreshes.
	done    atomic.Int64
	running sync.WaitGroup

	mu    sync.Mutex
	flows []*flow
	marks []mark
}

// mark is closed when done reaches at.
type mark struct {
	at      int64
	reached chan struct{}
}

// startLoad begins so many flows at once, each followed by another until the load is told to end.
func (s *site) startLoad(ctx context.Context, atOnce int) *load {
	l := &load{site: s, stop: make(chan struct{})}
	for range atOnce {
		l.running.Go(func() {
			for l.one(ctx) && !l.stopping() {
			}
		})
	}
	return l
}

func (l *load) stopping() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// one is a whole flow. It is false when it can't go on.
func (l *load) one(ctx context.Context) bool {
	f := l.site.newFlow()
	steps := append([]func(context.Context) error{f.begin}, slices.Repeat([]func(context.Context) error{f.refresh}, refreshesEach)...)
	for _, step := range steps {
		if err := step(ctx); err != nil {
			l.site.report.broken("a flow can't go on: %v", err)
			return false
		}
		if len(f.refreshes) == 0 {
			return true // its code was lost, which is reported
		}
		l.count()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flows = append(l.flows, f)
	return true
}

// count notes that something was answered for good.
func (l *load) count() {
	done := l.done.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks = slices.DeleteFunc(l.marks, func(m mark) bool {
		if done >= m.at {
			close(m.reached)
		}
		return done >= m.at
	})
}

// progress waits until so many more answers have come.
func (l *load) progress(n int) {
	l.site.t.Helper()
	m := mark{l.done.Load() + int64(n), make(chan struct{})}
	l.mu.Lock()
	l.marks = append(l.marks, m)
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(l.site.t.Context(), patience)
	defer cancel()
	select {
	case <-m.reached:
	case <-ctx.Done():
		l.site.t.Fatalf("the load makes no progress: %d answers, %d awaited", l.done.Load(), m.at)
	}
}

// end lets the flows that are under way come to their end.
func (l *load) end() []*flow {
	close(l.stop)
	l.running.Wait()
	return l.flows
}

// settle looks, after a fault, at everything that clients were told: all that was acknowledged is good at every server, and nothing that
// was spent is honoured again.
func (s *site) settle(ctx context.Context, flows []*flow) {
	s.t.Helper()
	again := 0
	for _, f := range flows {
		again += f.begunAgain
	}
	s.each(flows, func(_ int, f *flow) { s.isKept(ctx, f) })
	s.honouredOnce()
	s.each(flows, func(i int, f *flow) { s.isSpent(ctx, i, f) })
	s.report.tried("reviewed all tokens of %d flows, refreshed the newest, and presented a spent code or refresh token of each; %d flows had begun again", len(flows), again)
}

// each does something with all flows, some at a time.
func (s *site) each(flows []*flow, do func(int, *flow)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(flows)); i = next.Add(1) - 1 {
				do(int(i), flows[i])
			}
		})
	}
	workers.Wait()
}

// isKept reports what was acknowledged and is not good.
func (s *site) isKept(ctx context.Context, f *flow) {
	for i, token := range f.accesses {
		server := s.servers[i%len(s.servers)]
		if good, err := s.review(ctx, server.review, token); err != nil || !good {
			s.report.lost("access token %d of a flow, at %s: %t, %v", i, server.name, good, err)
		}
	}
	if err := f.refresh(ctx); err != nil {
		s.report.lost("the newest refresh token: %v", err)
	}
	// One compare-and-swap for each refresh, whoever was asked how often.
	id, _, _ := strings.Cut(f.newest(), ".")
	if generation, err := s.generation(ctx, id); err != nil {
		s.report.lost("the grant %s: %v", id, err)
	} else if generation != int64(len(f.refreshes)) {
		s.report.twice("grant %s was refreshed %d times, and %d were acknowledged", id, generation-1, len(f.refreshes)-1)
	}
}

// generation is that of a grant's refresh token, as it is kept.
func (s *site) generation(ctx context.Context, id string) (int64, error) {
	if s.grants != nil {
		g, err := s.grants.Get(ctx, id)
		if err != nil {
			return 0, err
		}
		return g.Generation, nil
	}
	o := &v1alpha1.OAuthGrant{}
	err := api.Get(ctx, types.NamespacedName{Namespace: operatorNamespace, Name: id}, o)
	return o.Status.Generation, err
}

// honouredOnce reports codes for which servers issued tokens more than once, by what they say themselves: whoever got no answer can't tell.
func (s *site) honouredOnce() {
	s.t.Helper()
	honoured := map[string]int{}
	for _, server := range s.servers {
		events, err := server.audited("token_issued")
		must(s.t, err)
		for _, e := range events {
			if e.Issuer == s.issuer && e.GrantType == "authorization_code" {
				honoured[e.Grant]++
			}
		}
	}
	if len(honoured) == 0 {
		s.report.broken("no server tells of a code that it honoured")
	}
	for id, n := range honoured {
		if n != 1 {
			s.report.twice("the code of grant %s was honoured %d times", id, n)
		}
	}
}

// isSpent presents the code again, which may have expired by now, or the first refresh token: that one is reuse, which ends the grant.
func (s *site) isSpent(ctx context.Context, i int, f *flow) {
	if i%2 == 1 {
		s.isRefused(ctx, "a spent code", f.redemption())
		return
	}
	s.isRefused(ctx, "a spent refresh token", f.refreshing(f.refreshes[0]))
	s.isRefused(ctx, "the newest refresh token, after one was reused,", f.refreshing(f.newest()))
}

// isRefused reports a token request that is not answered with invalid_grant.
func (s *site) isRefused(ctx context.Context, what string, form url.Values) {
	if a, _, err := s.insist(ctx, form); err != nil || a.Error != "invalid_grant" {
		s.report.twice("%s is answered with HTTP %d %s, %v", what, a.status, a.Error, err)
	}
}
