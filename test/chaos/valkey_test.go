package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// newSiteIn starts a site with two servers that keeps its grants in Valkey, at what a Secret says.
func newSiteIn(t *testing.T, r *report, secret map[string]string) *site {
	t.Helper()
	name, lines, data := "valkey-"+strings.ToLower(rand.Text()[:8]), "", map[string][]byte{}
	for key, value := range secret {
		lines += fmt.Sprintf("  %s: %q\n", key, value)
		data[key] = []byte(value)
	}
	manifest := "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: " + operatorNamespace + "}\nstringData:\n" + lines
	_, _, err := cluster.KubectlInput(t.Context(), strings.NewReader(manifest), "apply", "--server-side", "-f", "-")
	must(t, err)
	s := newSiteOf(t, r, layout{servers: 2, controllers: 1, spec: ", storage: {valkey: {secretRef: {name: " + name + "}}}"})
	config, err := valkey.ParseSecret(data)
	must(t, err)
	s.grants, err = valkey.New(config)
	must(t, err)
	t.Cleanup(s.grants.Close)
	must(t, s.grants.Connect())
	return s
}

// Valkey is killed and started again, with persistence, in the middle of many flows. Until it is back whoever needs it is told to come
// again, and nobody else notices.
func TestValkeyIsRestarted(t *testing.T) {
	atOnce := max(*flows/4, 10)
	r := newReport(t, "kill -9 and restart of a Valkey that persists, in the middle of %d concurrent flows", atOnce)
	server := valkeyserver.Start(t, valkeyserver.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	s := newSiteIn(t, r, map[string]string{"addresses": server.Address})
	f := s.newFlow()
	must(t, f.begin(t.Context()))
	l := s.startLoad(t.Context(), atOnce)
	for range 1 + *flows/longFlows {
		l.progress(2 * atOnce)
		server.Kill(t)
		r.tried("killed Valkey after %d answers to codes and refresh tokens", l.done.Load())
		s.withoutGrants(t.Context(), f)
		server.Restart(t)
		l.progress(2 * atOnce)
		r.tried("it was back after %d", l.done.Load())
	}
	flows := l.end()
	if r.failures() == 0 {
		r.broken("no request met the fault")
	}
	s.settle(t.Context(), flows)
}

// withoutGrants asks for all that needs a grant, and for what needs none, while no grant can be read.
func (s *site) withoutGrants(ctx context.Context, f *flow) {
	s.t.Helper()
	a, err := s.token(ctx, s.issuer, f.refreshing(f.newest()))
	if err != nil || a.status != http.StatusServiceUnavailable || a.Error != "temporarily_unavailable" || a.retryAfter == "" {
		s.report.broken("a refresh is answered with HTTP %d %s, Retry-After %q, %v", a.status, a.Error, a.retryAfter, err)
	}
	for _, server := range s.servers {
		if good, err := s.review(ctx, server.review, f.accesses[0]); err == nil && !good {
			s.report.lost("an access token whose grant can't be read is answered with a clean no by %s", server.name)
		}
		if ready, err := server.ready(ctx); err != nil || !ready {
			s.report.broken("%s, which can issue tokens to clients, is not ready: %v", server.name, err)
		}
	}
	machine := url.Values{"grant_type": {"client_credentials"}}
	if a, err := s.token(ctx, s.issuer, machine, s.name+".machine", machineSecret); err != nil || a.status != http.StatusOK {
		s.report.broken("a client in its own right is answered with HTTP %d %s, %v", a.status, a.Error, err)
	}
}

// The primary is killed in the middle of many flows, and Sentinel makes its replica the primary: nothing that anybody was told is lost.
func TestValkeyFailsOver(t *testing.T) {
	atOnce := max(*flows/4, 10)
	r := newReport(t, "kill -9 of Valkey's primary, with a Sentinel and a replica, in the middle of %d concurrent flows", atOnce)
	primary := valkeyserver.Start(t, valkeyserver.Options{})
	replica := valkeyserver.Start(t, valkeyserver.Options{ReplicaOf: primary})
	sentinel := valkeyserver.StartSentinel(t, primary)
	s := newSiteIn(t, r, map[string]string{"addresses": sentinel.Address, "masterName": valkeyserver.MasterName})
	l := s.startLoad(t.Context(), atOnce)
	l.progress(2 * atOnce)
	f := s.newFlow()
	must(t, f.authorize(t.Context()))
	replica.Pause(t)
	s.isNotTold(t.Context(), f)
	primary.Kill(t)
	replica.Resume(t)
	r.tried("killed the primary after %d answers to codes and refresh tokens", l.done.Load())
	must(t, f.goOn(t.Context()))
	for range refreshesEach {
		must(t, f.refresh(t.Context()))
	}
	l.progress(4 * atOnce)
	flows := append(l.end(), f)
	r.tried("the replica had taken over after %d at most", l.done.Load())
	if r.failures() == 0 {
		r.broken("no request met the fault")
	}
	s.settle(t.Context(), flows)
}

// isNotTold presents a code while no replica answers: who would have tokens now could lose them, so that nobody has.
func (s *site) isNotTold(ctx context.Context, f *flow) {
	s.t.Helper()
	f.presented++
	a, err := s.token(ctx, s.issuer, f.redemption())
	if err != nil || a.status != http.StatusServiceUnavailable || a.retryAfter == "" {
		s.report.twice("a code that no replica knows to be spent is answered with HTTP %d %s, Retry-After %q, %v", a.status, a.Error, a.retryAfter, err)
	}
}

// goOn presents the code once more. The new primary may have the grant, and not that it was taken back: then the code is spent on something
// that nobody was told, and there is another.
func (f *flow) goOn(ctx context.Context) error {
	err := f.redeem(ctx)
	if errors.Is(err, errSpent) {
		f.presented = 0
		return f.begin(ctx)
	}
	return err
}
