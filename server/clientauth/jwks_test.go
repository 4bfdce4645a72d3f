package clientauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth/assertiontest"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/outbound"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// publisher is a client's server with its keys.
type publisher struct {
	*httptest.Server
	requests atomic.Int64

	mu     sync.Mutex
	body   []byte
	status int
	header http.Header
	// hold, when it is not nil, is waited for before an answer.
	hold chan struct{}
}

func newPublisher(t *testing.T, set *keys.Set) *publisher {
	t.Helper()
	p := &publisher{body: set.JWKS(), status: http.StatusOK, header: http.Header{}}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) serve(w http.ResponseWriter, _ *http.Request) {
	p.requests.Add(1)
	p.mu.Lock()
	body, status, header, hold := p.body, p.status, p.header, p.hold
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (p *publisher) set(change func(*publisher)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *publisher) wantRequests(t *testing.T, want int64, when string) {
	t.Helper()
	if got := p.requests.Load(); got != want {
		t.Errorf("%s: %d requests; want %d", when, got, want)
	}
}

// reaching makes a client that trusts the publishers.
func reaching(publishers ...*publisher) *http.Client {
	pool := x509.NewCertPool()
	for _, p := range publishers {
		pool.AddCert(p.Certificate())
	}
	return outbound.New(outbound.Config{AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: pool})
}

// newPublished is an issuer whose print shop publishes its keys.
func newPublished(t *testing.T) (*asserting, *publisher) {
	t.Helper()
	a := newAsserting(t)
	return a, a.publish(t)
}

// publish has the print shop publish its keys at a new URL, of which nothing is known.
func (a *asserting) publish(t *testing.T) *publisher {
	t.Helper()
	p := newPublisher(t, a.keys)
	a.now, a.auth = testNow(), New(Config{Outbound: reaching(p)})
	a.declare(&registry.Assertion{JWKSURI: p.URL})
	return p
}

func (a *asserting) wantAccepted(when string) {
	a.t.Helper()
	if _, err := a.present("/token", a.sign(nil, nil)); err != nil {
		a.t.Errorf("%s: %v", when, err)
	}
}

func TestPublishedKeysAreKeptWhileFresh(t *testing.T) {
	a := newAsserting(t)
	for control, fresh := range map[string]time.Duration{
		"": 10 * time.Minute, "max-age=300": 5 * time.Minute, "public, Max-Age=300": 5 * time.Minute, `max-age="300"`: 5 * time.Minute,
		"no-store": time.Minute, "no-cache": time.Minute, "max-age=0": time.Minute, "max-age=31536000": time.Hour, "max-age=x": time.Minute, "max-age=-1": time.Minute,
	} {
		p := a.publish(t)
		p.set(func(p *publisher) { p.header.Set("Cache-Control", control) })
		a.wantAccepted(control)
		a.now = a.now.Add(fresh - time.Second)
		a.wantAccepted(control)
		p.wantRequests(t, 1, control+": while fresh")
		a.now = a.now.Add(time.Second)
		a.wantAccepted(control)
		p.wantRequests(t, 2, control+": when not fresh any more")
	}
	if got := freshness(http.Header{"Cache-Control": {"max-age=600"}, "Age": {"240"}}); got != 6*time.Minute {
		t.Errorf("an answer that is 4 of 10 minutes old is fresh for %s", got)
	}
}

// Key rollover: a key that is not known leads to one look, and to no more for a while; then the old key is no key any more.
func TestPublishedKeysRollOver(t *testing.T) {
	a, p := newPublished(t)
	a.wantAccepted("first key")
	old := a.keys
	a.keys = registrytest.Keys(t, testNow())
	p.set(func(p *publisher) { p.body = a.keys.JWKS() })
	a.wantRefused("new key, just after another look", a.sign(nil, nil))
	p.wantRequests(t, 1, "just after another look")
	a.now = a.now.Add(retryAfter)
	a.wantAccepted("new key")
	p.wantRequests(t, 2, "new key")
	a.keys = old
	for range 5 {
		a.wantRefused("old key", a.sign(nil, nil))
	}
	p.wantRequests(t, 2, "old key, many times")
	a.now = a.now.Add(retryAfter)
	a.wantRefused("old key, later", a.sign(nil, nil))
	p.wantRequests(t, 3, "old key, later")
}

// An assertion that doesn't say which key it is signed with can be signed with a new one as well.
func TestPublishedKeysRollOverWithoutKID(t *testing.T) {
	a, p := newPublished(t)
	a.wantAccepted("first key")
	a.keys = registrytest.Keys(t, testNow())
	p.set(func(p *publisher) { p.body = a.keys.JWKS() })
	a.now = a.now.Add(retryAfter)
	if _, err := a.present("/token", a.sign(map[string]any{"kid": nil}, nil)); err != nil {
		t.Error(err)
	}
}

func TestPublishedKeysFailing(t *testing.T) {
	a := newAsserting(t)
	for name, fail := range map[string]func(*publisher){
		"500":         func(p *publisher) { p.status = http.StatusInternalServerError },
		"redirect":    func(p *publisher) { p.status = http.StatusFound; p.header.Set("Location", p.URL) },
		"no JSON":     func(p *publisher) { p.body = []byte("<html>") },
		"no keys":     func(p *publisher) { p.body = []byte(`{"keys":[]}`) },
		"private key": func(p *publisher) { p.body = []byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`) },
		"huge":        func(p *publisher) { p.body = []byte(strings.Repeat(" ", outbound.MaxBody) + string(p.body)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := a.publish(t)
			good := p.body
			p.set(fail)
			for range 3 {
				a.wantRefused("never fetched", a.sign(nil, nil))
			}
			p.wantRequests(t, 1, "failing at first")
			p.set(func(p *publisher) { p.status, p.body, p.header = http.StatusOK, good, http.Header{} })
			a.now = a.now.Add(retryAfter)
			a.wantAccepted("mended")
			p.set(fail)
			a.now = a.now.Add(defaultFresh)
			for range 3 {
				a.wantAccepted("stale")
			}
			p.wantRequests(t, 3, "failing when stale")
			a.now = a.now.Add(maxStale)
			a.wantRefused("too stale", a.sign(nil, nil))
		})
	}
}

// Security: SSRF through jwks_uri: no connection to what is not public, and the same error as for anything else.
func TestPublishedKeysAtPrivateAddress(t *testing.T) {
	a, p := newPublished(t)
	a.auth = New(Config{Outbound: outbound.New(outbound.Config{})})
	a.wantRefused("private address", a.sign(nil, nil))
	p.wantRequests(t, 0, "private address")
	a.auth = New(Config{})
	a.wantRefused("nothing may be fetched", a.sign(nil, nil))
}

// Whoever asks for keys that are being fetched waits for them.
func TestPublishedKeysAreFetchedOnceForAll(t *testing.T) {
	a, p := newPublished(t)
	hold := make(chan struct{})
	p.set(func(p *publisher) { p.hold = hold })
	sets := a.auth.keySets
	var wg sync.WaitGroup
	const callers = 50
	asked := make(chan struct{}, callers)
	for range callers {
		wg.Go(func() {
			asked <- struct{}{}
			if set, err := sets.get(t.Context(), "demo", p.URL, a.now); err != nil || set == nil {
				t.Error(err)
			}
		})
	}
	for range callers {
		<-asked
	}
	close(hold)
	wg.Wait()
	p.wantRequests(t, 1, "all at once")
}

// A URL that does not answer keeps nobody waiting but those who need it, and not after they have left.
func TestPublishedKeysThatDoNotAnswer(t *testing.T) {
	a, p := newPublished(t)
	other := newPublisher(t, registrytest.Keys(t, testNow()))
	hold := make(chan struct{})
	p.set(func(p *publisher) { p.hold = hold })
	sets := newKeySets(reaching(p, other))
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := sets.get(ctx, "demo", p.URL, a.now)
		left <- err
	}()
	if _, err := sets.get(t.Context(), "demo", other.URL, a.now); err != nil {
		t.Errorf("another client: %v", err)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(hold)
	if _, err := sets.get(t.Context(), "demo", p.URL, a.now); err != nil {
		t.Errorf("what somebody began and left was lost: %v", err)
	}
}

func TestPublishedKeysAreBounded(t *testing.T) {
	sets := newKeySets(nil)
	for i := range maxKeySets + 10 {
		if _, err := sets.get(t.Context(), "demo", fmt.Sprint("https://keys.example/", i), testNow()); err == nil {
			t.Fatal("fetched")
		}
	}
	if n := sets.kept.Len(); n != 2000 {
		t.Errorf("%d are kept", n)
	}
	var entered int
	for n := range 1000 {
		if sets.enter(fmt.Sprint("namespace ", n/100)) {
			entered++
		}
	}
	if entered != 256 || sets.fetching["namespace 0"] != 32 {
		t.Errorf("%d fetches are under way, %d of a namespace", entered, sets.fetching["namespace 0"])
	}
}

// Security: kid injection: another client's key, where both publish theirs.
func TestPublishedKeysOfAnother(t *testing.T) {
	a, _ := newPublished(t)
	other := registrytest.Keys(t, testNow())
	published := newPublisher(t, other)
	key, err := other.Signer(keys.ES256, a.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newKeySets(reaching(published)).get(t.Context(), "demo", published.URL, a.now); err != nil {
		t.Fatal(err)
	}
	a.wantRefused("another's key", assertiontest.Sign(t, key, nil, a.claims()))
}

// One team with many URLs that never answer holds up nobody else, and some sockets only.
func TestPublishedKeysOfManyThatNeverAnswer(t *testing.T) {
	set := newAsserting(t).keys
	slow, quick := newPublisher(t, set), newPublisher(t, set)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	slow.set(func(p *publisher) { p.hold = hold })
	sets, urls := newKeySets(reaching(slow, quick)), 2*maxFetchesOfNamespace
	// A connection to one host is waited for; what counts is how many attempts are under way.
	answers := make(chan error, urls)
	for n := range urls {
		go func() {
			_, err := sets.get(context.WithoutCancel(t.Context()), "greedy", fmt.Sprint(slow.URL, "/", n), testNow())
			answers <- err
		}()
	}
	for range urls - maxFetchesOfNamespace {
		select {
		case err := <-answers:
			if !errors.Is(err, errTooManyFetches) {
				t.Errorf("one too many: %v", err)
			}
		case <-time.After(4 * time.Second): // before the attempts give up
			t.Fatal("more attempts are under way than one namespace may have")
		}
	}
	if _, err := sets.get(t.Context(), "demo", quick.URL, testNow()); err != nil {
		t.Errorf("another namespace's: %v", err)
	}
	release()
	for range maxFetchesOfNamespace {
		if err := <-answers; err != nil {
			t.Errorf("answered at last: %v", err)
		}
	}
	if _, err := sets.get(t.Context(), "greedy", quick.URL+"/later", testNow()); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	if len(sets.fetching) != 0 || sets.fetches != 0 {
		t.Errorf("%v are fetching after all have ended", sets.fetching)
	}
}
