package chaos

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// kube-apiserver is killed and comes back a while later. Meanwhile servers answer from what they know, say of the rest when to come back,
// and go on by themselves.
func TestAPIServerIsAway(t *testing.T) {
	r := newReport(t, "kube-apiserver away for %v", *outage)
	s := newSite(t, r, 2)
	workload := s.declareWorkload()
	known := s.flowsBegun(t.Context(), 20)
	must(t, cluster.StopAPIServer())
	back := time.NewTimer(*outage)
	s.t.Cleanup(func() { back.Stop() })
	r.tried("ended kube-apiserver")
	s.hangsOn(t.Context(), back.C, known, workload)
	newcomer := s.newServer(len(s.servers), layout{})
	s.staysUnready(newcomer)
	waiting := s.flowsAuthorized(t.Context(), 10)

	// Those who were told to come back keep trying while it comes.
	var trying sync.WaitGroup
	for i, f := range known {
		trying.Go(func() {
			if err := f.refresh(t.Context()); err != nil {
				r.lost("refresh token of flow %d: %v", i, err)
			}
		})
	}
	for _, f := range waiting { // with codes from while it was away
		trying.Go(func() {
			for _, step := range []func(context.Context) error{f.redeem, f.refresh} {
				if err := step(t.Context()); err != nil {
					r.lost("a code that was told to come back: %v", err)
				}
			}
		})
	}
	must(t, cluster.StartAPIServer(t.Context()))
	r.tried("kube-apiserver was back")
	trying.Wait()
	s.isReady(append(s.servers, newcomer)...)
	s.followsAgain()
	for i := range s.servers {
		if a := s.machine(t.Context(), i, workload); a.status != http.StatusOK {
			r.broken("afterwards, a ServiceAccount is answered by %s with HTTP %d %s", s.servers[i].name, a.status, a.Error)
		}
	}
	s.servers = append(s.servers, newcomer)
	s.settle(t.Context(), append(known, waiting...))
}

// hangsOn asks, until time is up, for everything that needs kube-apiserver and that does not.
func (s *site) hangsOn(ctx context.Context, back <-chan time.Time, known []*flow, workload url.Values) {
	s.t.Helper()
	reviews, tokens, refusals := 0, 0, 0
	for {
		code := s.flowsAuthorized(ctx, 1)[0] // signed in, the user needs nobody
		for i, server := range s.servers {
			f := known[(reviews+i)%len(known)]
			if good, err := s.review(ctx, server.review, f.accesses[0]); err != nil || !good {
				s.report.lost("a known token, while kube-apiserver is away: %t, %v", good, err)
			}
			reviews++
			if a := s.machine(ctx, i, nil); a.status != http.StatusOK || a.AccessToken == "" {
				s.report.broken("client_credentials, while kube-apiserver is away: HTTP %d %s", a.status, a.Error)
			}
			tokens++
			for what, form := range map[string]url.Values{"a code": code.redemption(), "a refresh token": f.refreshing(f.newest()), "a ServiceAccount": workload} {
				a, err := s.token(ctx, "http://"+server.public, form)
				if err != nil || a.status != http.StatusServiceUnavailable || a.Error != "temporarily_unavailable" || !inSeconds(a.retryAfter) {
					s.report.broken("%s, while kube-apiserver is away: HTTP %d %s, Retry-After %q, %v", what, a.status, a.Error, a.retryAfter, err)
				}
				refusals++
			}
			if ready, err := server.ready(ctx); err != nil || !ready {
				s.report.broken("%s, which answers from what it knows, does not call itself ready: %v", server.name, err)
			}
		}
		select {
		case <-back:
			s.report.tried("%d reviews of known tokens and %d tokens for a client itself; %d requests that need it were told when to come back; both servers called themselves ready",
				reviews, tokens, refusals)
			return
		default:
		}
	}
}

func inSeconds(retryAfter string) bool {
	n, err := strconv.Atoi(retryAfter)
	return err == nil && n > 0
}

// staysUnready sees a server that starts now, and has nothing to answer from, call itself not ready.
func (s *site) staysUnready(server *replica) {
	s.t.Helper()
	eventually(s.t, server.name+" waits for kube-apiserver", func(ctx context.Context) (bool, error) {
		if ready, err := server.ready(ctx); ready || err != nil {
			return false, fmt.Errorf("it calls itself ready, and knows nothing: %w", err)
		}
		text, err := health(ctx, server)
		return strings.Contains(text, "kube-apiserver"), err
	})
	s.report.tried("started %s, which was not ready", server.name)
}

// health is what a server says of itself, nothing while it does not answer. It must live.
func health(ctx context.Context, server *replica) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.health+"/readyz", http.NoBody)
	if err != nil {
		return "", err
	}
	_, _, text, err := send(probes, request)
	if err != nil {
		return "", server.present().Failure()
	}
	return string(text), nil
}

// followsAgain declares a client and sees every server honour it.
func (s *site) followsAgain() {
	s.t.Helper()
	s.apply(strings.NewReplacer("NAME", s.name, "SECRET", machineSecret).Replace(`
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: late, namespace: NAME}
spec:
  authorizationServerName: NAME
  displayName: Declared After
  type: Confidential
  grantTypes: [client_credentials]
  resources: [{namespace: NAME, name: orders, scopes: [orders.read]}]
  authentication: {clientSecret: {source: Existing, secretName: machine-oauth}}
`))
	s.honoured("--namespace="+s.name, "oauthclient/late")
	for _, server := range s.servers {
		eventually(s.t, server.name+" honours a client that was declared afterwards", func(ctx context.Context) (bool, error) {
			a, err := s.token(ctx, "http://"+server.public, s.credentials(), s.name+".late", machineSecret)
			return a.status == http.StatusOK, err
		})
	}
	s.report.tried("a client that was declared afterwards was honoured by both")
}

// credentials is a token request of a client for itself.
func (s *site) credentials() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"orders.read"}, "resource": {s.identifier}}
}

// machine asks a server for a token for a client itself: for the one that has a secret, or for the workload.
func (s *site) machine(ctx context.Context, server int, workload url.Values) (a answer) {
	s.t.Helper()
	var err error
	base := "http://" + s.servers[server].public
	if workload != nil {
		a, err = s.token(ctx, base, workload)
	} else {
		a, err = s.token(ctx, base, s.credentials(), s.name+".machine", machineSecret)
	}
	if err != nil {
		s.report.broken("a client is not answered: %v", err)
	}
	return a
}

// declareWorkload declares a client that is a ServiceAccount, and returns its token request. Its token is younger than what servers remember
// of kube-apiserver's answers: none has been asked about it.
func (s *site) declareWorkload() url.Values {
	s.t.Helper()
	s.apply(strings.ReplaceAll(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: workload, namespace: NAME}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: workload, namespace: NAME}
spec:
  authorizationServerName: NAME
  displayName: A Workload
  type: Confidential
  grantTypes: [client_credentials]
  resources: [{namespace: NAME, name: orders, scopes: [orders.read]}]
  authentication: {serviceAccount: {names: [workload]}}
`, "NAME", s.name))
	s.honoured("--namespace="+s.name, "oauthclient/workload")
	token, _, err := cluster.ServiceAccountToken(s.t.Context(), s.name, "workload", []string{s.issuer}, time.Hour)
	must(s.t, err)
	form := s.credentials()
	form.Set("client_id", s.name+".workload")
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", token)
	return form
}

// flowsBegun are flows that have tokens.
func (s *site) flowsBegun(ctx context.Context, n int) []*flow {
	s.t.Helper()
	all := s.flowsAuthorized(ctx, n)
	for _, f := range all {
		must(s.t, f.redeem(ctx))
		must(s.t, f.refresh(ctx))
	}
	return all
}

// flowsAuthorized are flows that have a code.
func (s *site) flowsAuthorized(ctx context.Context, n int) (all []*flow) {
	s.t.Helper()
	for range n {
		f := s.newFlow()
		must(s.t, f.authorize(ctx))
		all = append(all, f)
	}
	return all
}
