package chaos

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/test/apiproxy"
)

// longFlows is the number of flows that goes with faults at their full size.
const longFlows = 1000

// swept is how many grants have expired when the leader begins to sweep. It is killed in the middle of them.
const swept = 40

// rotateOnce has keys change now, and then in five minutes.
const rotateOnce = `{"spec":{"signing":{"rotation":{"interval":"5m","publishAhead":"10s"}}}}`

// rotatingClient is a client whose secret is made by Latchkey.
const rotatingClient = `
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: rotating, namespace: NAME}
spec:
  authorizationServerName: NAME
  displayName: A Rotating Machine
  type: Confidential
  grantTypes: [client_credentials]
  resources: [{namespace: NAME, name: orders, scopes: [orders.read]}]
  authentication: {clientSecret: {source: Generated, secretName: rotating-oauth}}
`

// The leader is killed in the middle of a rotation of keys, of a rotation of a client's secret and of a sweep, all at once: after the first
// of their writes, with and without the reply to it. Another controller takes over, and finishes each once.
func TestLeaderIsKilled(t *testing.T) {
	for _, replied := range []bool{false, true} {
		name := map[bool]string{true: "between two writes", false: "before the reply to a write"}[replied]
		if replied && *flows < longFlows {
			continue // a part of the full size alone
		}
		t.Run(name, func(t *testing.T) {
			r := newReport(t, "kill -9 of the leading controller in mid-rotation of keys and secret, and in mid-sweep, %s", name)
			proxies := []*apiproxy.Proxy{startProxy(t), startProxy(t)}
			s := newSiteOf(t, r, layout{servers: 1, controllers: 2, spec: shortLived, controllerKubeconfigs: []string{proxied(t, proxies[0]), proxied(t, proxies[1])}})
			s.apply(strings.ReplaceAll(rotatingClient, "NAME", s.name))
			s.honoured("--namespace="+s.name, "oauthclient/rotating")
			seen := s.watchSecrets()
			leader := s.leader()
			stop := s.keepProving(t.Context())

			over, alive := s.putGrants(swept, -2*time.Minute), s.putGrants(swept, time.Hour)
			middle := inTheMiddle(proxies[leader], s, replied)
			s.rotate()
			middle.awaited(t)
			if writes := proxies[1-leader].Requests(apiproxy.Writing); len(writes) > 0 {
				r.broken("%s, which does not lead, writes: %v", s.controllers[1-leader].name, writes)
			}
			must(t, s.controllers[leader].kill())
			r.tried("killed %s in the middle of %d writes", s.controllers[leader].name, len(middle.reached))

			s.isFinished(over, alive)
			r.tried("the other finished; the client proved itself %d times meanwhile", stop())
			seen.holds(s, s.issuerKeys(t.Context()))
		})
	}
}

// rotate asks for one rotation of the issuer's keys, and one of the client's secret.
func (s *site) rotate() {
	s.t.Helper()
	ctx := s.t.Context()
	must(s.t, api.Patch(ctx, s.authorizationServer(), client.RawPatch(types.MergePatchType, []byte(rotateOnce))))
	must(s.t, api.Patch(ctx, s.rotating(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+v1alpha1.AnnotationRotate+`":"once"}}}`))))
}

// Two controllers act at once, as when one that stood still for longer than its lease goes on before it knows. Both have read before either
// writes; and each write is bound to what was read before it, so that one goes through, and nothing is lost or made twice.
func TestTwoControllersLead(t *testing.T) {
	r := newReport(t, "two controllers that both lead, in a rotation of keys and secret")
	proxies := []*apiproxy.Proxy{startProxy(t), startProxy(t)}
	s := newSiteOf(t, r, layout{servers: 1, controllers: 2, spec: shortLived, controllerArgs: []string{"--leader-elect=false"}, controllerKubeconfigs: []string{proxied(t, proxies[0]), proxied(t, proxies[1])}})
	s.apply(strings.ReplaceAll(rotatingClient, "NAME", s.name))
	s.honoured("--namespace="+s.name, "oauthclient/rotating")
	seen := s.watchSecrets()
	stop := s.keepProving(t.Context())
	keys := meet(proxies, apiproxy.To("update", "secrets").In(operatorNamespace).Named("latchkey-keys-"+s.name))
	secret := meet(proxies, apiproxy.To("update", "secrets").In(s.name).Named("rotating-oauth"))
	s.rotate()
	(&middle{[]chan struct{}{keys, secret}}).awaited(t)
	s.isFinished(nil, nil)
	r.tried("both finished; the client proved itself %d times meanwhile", stop())
	seen.holds(s, s.issuerKeys(t.Context()))
}

// meet has the next request of each proxy that matches wait for that of all others. Then met is closed.
func meet(proxies []*apiproxy.Proxy, at apiproxy.Match) (met chan struct{}) {
	met = make(chan struct{})
	var here atomic.Int64
	for _, p := range proxies {
		p.Inject(at, 1, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if here.Add(1) == int64(len(proxies)) {
				close(met)
			}
			select {
			case <-met:
			case <-r.Context().Done():
			}
			forward.ServeHTTP(w, r)
		})
	}
	return met
}

func startProxy(t *testing.T) *apiproxy.Proxy {
	t.Helper()
	p, err := apiproxy.Start(cluster.RESTConfig())
	must(t, err)
	t.Cleanup(p.Close)
	return p
}

// proxied is the kubeconfig of a controller whose way to the API server leads through the proxy.
func proxied(t *testing.T, p *apiproxy.Proxy) string {
	t.Helper()
	file := filepath.Join(cluster.Dir, "controller-"+strings.ToLower(rand.Text()[:8])+".kubeconfig")
	must(t, p.Kubeconfig(identity("latchkey-controller"), file))
	return file
}

// leader is which of the controllers leads.
func (s *site) leader() (leading int) {
	s.t.Helper()
	eventually(s.t, "a controller leads", func(ctx context.Context) (bool, error) {
		leading = slices.IndexFunc(s.controllers, func(c *replica) bool {
			is, err := c.metric(ctx, `leader_election_master_status{name="latchkey-controller"}`)
			return err == nil && is == 1
		})
		return leading >= 0, nil
	})
	return leading
}

// middle is where the leader stops: in the middle of each of several things.
type middle struct{ reached []chan struct{} }

// inTheMiddle lets the first write of each rotation, and half of the deletions of a sweep, through, and no further one. Without a reply
// the leader doesn't even know of the first.
func inTheMiddle(p *apiproxy.Proxy, s *site, replied bool) *middle {
	m := &middle{}
	secret := func(namespace, name string) apiproxy.Match {
		return apiproxy.To("update", "secrets").In(namespace).Named(name)
	}
	for _, at := range []struct {
		first, second apiproxy.Match
		times         int
	}{
		{secret(operatorNamespace, "latchkey-keys-"+s.name), apiproxy.To("patch", "authorizationservers/status").Named(s.name), 1},
		{secret(s.name, "rotating-oauth"), apiproxy.To("patch", "oauthclients/status").In(s.name).Named("rotating"), 1},
		{apiproxy.To("delete", "oauthgrants"), apiproxy.To("delete", "oauthgrants"), swept / 2},
	} {
		reached := make(chan struct{})
		m.reached = append(m.reached, reached)
		stops := func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }
		var once sync.Once
		signal := func() { once.Do(func() { close(reached) }) }
		if replied {
			p.Inject(at.first, at.times, func(w http.ResponseWriter, r *http.Request, forward http.Handler) { forward.ServeHTTP(w, r) })
			p.Inject(at.second, -1, func(w http.ResponseWriter, r *http.Request, forward http.Handler) { signal(); stops(w, r, forward) })
			continue
		}
		p.Inject(at.first, at.times-1, func(w http.ResponseWriter, r *http.Request, forward http.Handler) { forward.ServeHTTP(w, r) })
		p.Inject(at.first, -1, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			apiproxy.Then(func() { signal(); stops(w, r, forward) })(w, r, forward)
		})
	}
	return m
}

// awaited waits until the leader stands in the middle of everything. It sweeps once a minute.
func (m *middle) awaited(t *testing.T) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for i, reached := range m.reached {
		select {
		case <-reached:
		case <-deadline.C:
			t.Fatalf("nobody is in the middle of thing %d", i)
		}
	}
}

func (s *site) rotating() *v1alpha1.OAuthClient {
	c := &v1alpha1.OAuthClient{}
	c.Namespace, c.Name = s.name, "rotating"
	return c
}

func (s *site) putGrants(n int, expires time.Duration) (put []*v1alpha1.OAuthGrant) {
	s.t.Helper()
	for range n {
		put = append(put, s.putGrant(time.Now().Add(expires)))
	}
	return put
}

// isFinished waits until everything is done that the leader had begun, and looks at what must not be.
func (s *site) isFinished(over, alive []*v1alpha1.OAuthGrant) {
	s.t.Helper()
	eventually(s.t, "the secret's rotation is done", func(ctx context.Context) (bool, error) {
		c := s.rotating()
		err := api.Get(ctx, client.ObjectKeyFromObject(c), c)
		return c.Status.LastHandledRotation == "once" && len(c.Status.Secrets) == 2, err
	})
	eventually(s.t, "status tells of the new keys", func(ctx context.Context) (bool, error) { return len(s.issuerKeys(ctx)) >= 4, nil })
	for _, g := range over {
		eventually(s.t, "what is over is swept", func(ctx context.Context) (bool, error) { return s.gone(ctx, g) })
	}
	for _, g := range alive {
		if gone, err := s.gone(s.t.Context(), g); gone || err != nil {
			s.report.lost("a grant that lives was swept: %v", err)
		}
	}
}

// secretsSeen is what every version of the issuer's keys and of the client's secret held.
type secretsSeen struct {
	mu   sync.Mutex
	kids [][]string
	// sealing counts the sealing keys of the last version. values are the client secrets that were handed out, in order.
	sealing int
	values  []string
}

// watchSecrets notes every version of both Secrets.
func (s *site) watchSecrets() *secretsSeen {
	s.t.Helper()
	seen := &secretsSeen{}
	for namespace, name := range map[string]string{operatorNamespace: "latchkey-keys-" + s.name, s.name: "rotating-oauth"} {
		w, err := api.Watch(s.t.Context(), &corev1.SecretList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": name})
		must(s.t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for e := range w.ResultChan() {
				if err := seen.note(e); err != nil {
					s.report.broken("%s: %v", name, err)
				}
			}
		}()
		s.t.Cleanup(func() { w.Stop(); <-done })
	}
	return seen
}

func (s *secretsSeen) note(e watch.Event) error {
	secret, ok := e.Object.(*corev1.Secret)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if value := string(secret.Data["client-secret"]); value != "" {
		if !slices.Contains(s.values, value) {
			s.values = append(s.values, value)
		}
		return nil
	}
	var stored struct {
		Signing []struct {
			KID string `json:"kid"`
		} `json:"signing"`
		Sealing []struct {
			ID string `json:"id"`
		} `json:"sealing"`
	}
	for _, data := range secret.Data {
		if err := json.Unmarshal(data, &stored); err != nil {
			return err
		}
	}
	var kids []string
	for _, k := range stored.Signing {
		kids = append(kids, k.KID)
	}
	for _, k := range stored.Sealing {
		kids = append(kids, k.ID)
	}
	s.kids, s.sealing = append(s.kids, kids), len(stored.Sealing)
	return nil
}

// holds reports keys that vanished, and what was made twice: one rotation is one new key of each kind, and one new client secret.
func (s *secretsSeen) holds(at *site, inStatus []v1alpha1.KeyStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i < len(s.kids); i++ {
		for _, kid := range s.kids[i-1] {
			if !slices.Contains(s.kids[i], kid) {
				at.report.lost("key %s vanished", kid)
			}
		}
	}
	if last := s.kids[len(s.kids)-1]; len(last) != 6 || s.sealing != 2 || len(inStatus) != 4 {
		at.report.twice("after one rotation there are %d keys, %d of them sealing, and %d in status", len(last), s.sealing, len(inStatus))
	}
	if len(s.values) != 2 {
		at.report.twice("one rotation handed out %d client secrets", len(s.values)-1)
	}
}

// keepProving has the client read its Secret and prove itself without pause, until it is stopped.
func (s *site) keepProving(ctx context.Context) (stop func() int) {
	end, proofs := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { proofs <- n }()
		for ; ; n++ {
			select {
			case <-end:
				return
			default:
			}
			if err := s.proves(ctx); err != nil {
				s.report.broken("the client proves itself: %v", err)
			}
		}
	}()
	return func() int { close(end); return <-proofs }
}

// proves has the rotating client read its Secret and prove itself.
func (s *site) proves(ctx context.Context) error { return s.provesAs(ctx, "rotating") }

// provesAs does so for a client of any name.
func (s *site) provesAs(ctx context.Context, name string) error {
	secret := &corev1.Secret{}
	if err := api.Get(ctx, types.NamespacedName{Namespace: s.name, Name: name + "-oauth"}, secret); err != nil {
		return err
	}
	a, err := s.token(ctx, s.issuer, url.Values{"grant_type": {"client_credentials"}}, s.name+"."+name, string(secret.Data["client-secret"]))
	return expect("client_credentials of "+name, a.status, http.StatusOK, err)
}
