package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
)

const (
	verifier = "a-code-verifier-of-more-than-forty-three-characters"
	state    = "state-1234567890"
)

// site is a whole server behind real TLS, with one issuer unless the test adds more.
type site struct {
	t      *testing.T
	https  *httptest.Server
	holder *registry.Holder
	issuer *registry.Issuer
	grants *counting
	log    *lockedBuffer
}

// counting counts the writes to a store.
type counting struct {
	store.Grants
	creates, revokes atomic.Int64
}

func (c *counting) Create(ctx context.Context, g *store.Grant) error {
	c.creates.Add(1)
	return c.Grants.Create(ctx, g)
}

func (c *counting) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	c.revokes.Add(1)
	return c.Grants.Revoke(ctx, id, reason, at)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, holder: &registry.Holder{}, grants: &counting{Grants: memory.New(time.Now)}, log: &lockedBuffer{}}
	s.https = httptest.NewTLSServer(s.replica())
	t.Cleanup(s.https.Close)
	s.issuer = registrytest.Issuer(t, s.https.URL, time.Now())
	s.publish(s.issuer)
	return s
}

// replica is another server over the same store and registry.
func (s *site) replica() http.Handler {
	s.t.Helper()
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := server.New(server.Config{
		Holder: s.holder, Grants: s.grants, Metrics: metrics,
		Logger: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

func (s *site) publish(issuers ...*registry.Issuer) { s.holder.Store(registry.NewSnapshot(issuers)) }

// browser is a user agent: it keeps cookies, follows redirects within the site, and stops where one leads elsewhere.
func (s *site) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := *s.https.Client()
	c.Jar = jar
	host := s.https.Listener.Addr().String()
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host != host {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &c
}

// page is an answer that has been read.
type page struct {
	*http.Response
	body string
}

func (s *site) read(r *http.Response, err error) page {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return page{r, string(body)}
}

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// request is a good authorization request of the print shop for photos.
func request(overrides ...string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {registrytest.PrintShop}, "redirect_uri": {registrytest.PrintShopRedirect},
		"scope": {"openid profile " + registrytest.PhotosRead}, "resource": {registrytest.Photos}, "state": {state}, "nonce": {"n-1"},
		"code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(overrides); i += 2 {
		if overrides[i+1] == "" {
			v.Del(overrides[i])
			continue
		}
		v.Set(overrides[i], overrides[i+1])
	}
	return v
}

var formAction = regexp.MustCompile(`<form[^>]*action="([^"]+)"`)

// submit posts the form of a page.
func (s *site) submit(b *http.Client, p page, fields ...string) page {
	s.t.Helper()
	m := formAction.FindStringSubmatch(p.body)
	if m == nil {
		s.t.Fatalf("no form at %s (%s):\n%s", p.Request.URL, p.Status, p.body)
	}
	action, err := p.Request.URL.Parse(html.UnescapeString(m[1]))
	if err != nil {
		s.t.Fatal(err)
	}
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return s.read(b.PostForm(action.String(), form))
}

// authorize walks sign-in and consent as alice, and returns the parameters with which the client is called back.
func (s *site) authorize(issuer string, params url.Values) url.Values {
	s.t.Helper()
	b := s.browser()
	login := s.read(b.Get(issuer + "/authorize?" + params.Encode()))
	consent := s.submit(b, login, "username", registrytest.Alice, "password", registrytest.AlicePassword)
	return s.callback(s.submit(b, consent, "decision", "allow"))
}

func (s *site) callback(p page) url.Values {
	s.t.Helper()
	to, err := p.Location()
	if err != nil || p.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("not sent back to the client: %s %v\n%s", p.Status, err, p.body)
	}
	return to.Query()
}

// redeem exchanges a code at a server, and returns status and body.
func (s *site) redeem(base, code string, overrides ...string) (int, map[string]any) {
	s.t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {registrytest.PrintShopRedirect}, "code_verifier": {verifier},
	}
	for i := 0; i+1 < len(overrides); i += 2 {
		form.Set(overrides[i], overrides[i+1])
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, base+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
	p := s.read(s.https.Client().Do(r))
	var out map[string]any
	if err := json.Unmarshal([]byte(p.body), &out); err != nil {
		s.t.Fatalf("%s: %v in %q", p.Status, err, p.body)
	}
	return p.StatusCode, out
}

// userinfo asks who a token is for.
func (s *site) userinfo(base, token string) page {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, base+"/userinfo", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return s.read(s.https.Client().Do(r))
}
