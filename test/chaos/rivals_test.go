package chaos

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/latchkey-io/latchkey/test/apiproxy"
)

// rivals is how many present one code, or one refresh token, at once.
const rivals = 100

// One code is redeemed, and one refresh token refreshed, by a hundred at once over two servers. kube-apiserver is asked to write through a
// proxy that counts.
func TestManyPresentTheSame(t *testing.T) {
	r := newReport(t, "%d redemptions of one code and %d refreshes of one token at once", rivals, rivals)
	proxy, err := apiproxy.Start(cluster.RESTConfig())
	must(t, err)
	t.Cleanup(proxy.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, proxy.Kubeconfig(identity("latchkey-server"), kubeconfig))
	s := newSiteOf(t, r, layout{servers: 2, controllers: 1, serverKubeconfig: kubeconfig})
	s.refreshAtOnce(t.Context(), proxy)
	s.redeemAtOnce(t.Context(), proxy)
}

// refreshAtOnce: one compare-and-swap is let through, at most one more sent by the other server, and everybody has the same successor.
func (s *site) refreshAtOnce(ctx context.Context, proxy *apiproxy.Proxy) {
	s.t.Helper()
	f := s.newFlow()
	must(s.t, f.begin(ctx))
	before := len(proxy.Requests(apiproxy.Writing))
	successors := map[string]int{}
	for _, a := range s.atOnce(ctx, f.refreshing(f.newest())) {
		if a.status != http.StatusOK || a.AccessToken == "" {
			s.report.lost("a refresh token is answered with HTTP %d %s", a.status, a.Error)
			continue
		}
		successors[a.RefreshToken]++
		s.report.acknowledged(2)
		f.accesses = append(f.accesses, a.AccessToken)
	}
	if len(successors) != 1 {
		s.report.twice("a refresh token has %d successors", len(successors))
	}
	for token := range successors {
		f.refreshes = append(f.refreshes, token)
	}
	writes := proxy.Requests(apiproxy.Writing)[before:]
	if len(writes) == 0 || len(writes) > len(s.servers) {
		s.report.broken("the refreshes cost %d writes: %v", len(writes), writes)
	}
	s.report.tried("%d refreshes of one token: %d successor, %d requests to write, of which one is let through", rivals, len(successors), len(writes))
	s.isKept(ctx, f)
}

// redeemAtOnce: one has tokens; and because all others are replays, not even those are good for long.
func (s *site) redeemAtOnce(ctx context.Context, proxy *apiproxy.Proxy) {
	s.t.Helper()
	f := s.newFlow()
	must(s.t, f.authorize(ctx))
	before := len(proxy.Requests(apiproxy.To("create", "oauthgrants")))
	for _, a := range s.atOnce(ctx, f.redemption()) {
		switch {
		case a.status == http.StatusOK && a.AccessToken != "":
			f.keep(a)
		case a.Error != "invalid_grant":
			s.report.broken("a rival is answered with HTTP %d %s", a.status, a.Error)
		}
	}
	if len(f.accesses) != 1 {
		s.report.twice("%d of %d redeemed one code", len(f.accesses), rivals)
		return
	}
	creations := len(proxy.Requests(apiproxy.To("create", "oauthgrants"))) - before
	if creations > len(s.servers) {
		s.report.broken("one code is %d requests to create a grant", creations)
	}
	s.report.tried("%d redemptions of one code: %d has tokens, %d requests to create the grant", rivals, len(f.accesses), creations)
	s.isRevoked(ctx, f)
	s.honouredOnce()
}

// isRevoked waits until every server refuses what a replayed code produced.
func (s *site) isRevoked(ctx context.Context, f *flow) {
	s.t.Helper()
	for _, server := range s.servers {
		eventually(s.t, server.name+" refuses what a replayed code produced", func(context.Context) (bool, error) {
			good, err := s.review(ctx, server.review, f.accesses[0])
			return !good, err
		})
	}
	s.isRefused(ctx, "the refresh token of a replayed code", f.refreshing(f.newest()))
}

// atOnce sends one token request many times at the same moment, to one server after the other.
func (s *site) atOnce(ctx context.Context, form url.Values) []answer {
	s.t.Helper()
	answers := make([]answer, rivals)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			<-start
			a, err := s.token(ctx, "http://"+s.servers[i%len(s.servers)].public, form)
			if err != nil {
				s.report.broken("a rival is not answered: %v", err)
			}
			answers[i] = a
		})
	}
	close(start)
	all.Wait()
	return answers
}
