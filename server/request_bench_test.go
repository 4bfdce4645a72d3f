package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/listen"
	"github.com/latchkey-io/latchkey/server/loglimit"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/review"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/storage"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
	"github.com/latchkey-io/latchkey/server/token"
)

const benchIssuer = "https://login.example.com"

// benchSite is a server as the program puts it together, from the limits of its listeners to the log, without the connections.
type benchSite struct {
	now             time.Time
	iss             *registry.Issuer
	grants          *memory.Store
	public, reviews http.Handler
}

func newBenchSite(b testing.TB) *benchSite {
	b.Helper()
	s := &benchSite{now: time.Now().Truncate(time.Second)}
	s.iss = benchedIssuer(registrytest.Issuer(b, benchIssuer, s.now))
	holder := &registry.Holder{}
	holder.Store(registry.NewSnapshot([]*registry.Issuer{s.iss}))
	clock := func() time.Time { return s.now }
	s.grants = memory.New(clock)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = null.Close() })
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	logger := slog.New(loglimit.New(slog.NewJSONHandler(null, nil), clock, metrics.LogLineLeftOut))
	places, err := storage.New(storage.Config{Grants: s.grants, Devices: memory.NewDevices(clock), Holder: holder, Logger: logger})
	if err != nil {
		b.Fatal(err)
	}
	signOuts := memory.NewSignOuts(clock)
	public, err := server.New(server.Config{
		Holder: holder, Grants: places.Grants(), Devices: places.Devices(), SignOuts: signOuts, Now: clock, Metrics: metrics, Logger: logger,
		Limits: limit.Rates{Client: limit.Rate{PerSecond: 1e9, Burst: 1e9}},
	})
	if err != nil {
		b.Fatal(err)
	}
	verifier := &token.Verifier{Grants: places.Grants(), SignOuts: signOuts, Now: clock, Seen: token.NewSeen()}
	reviews := server.Review(&review.Handler{Holder: holder, Verifier: verifier, Logger: logger}, holder, logger)
	s.public = listen.NewServer(listen.Listener{Handler: public, MaxRequests: 4096}, logger).Handler
	s.reviews = listen.NewServer(listen.Listener{Handler: reviews, MaxRequests: 4096}, logger).Handler
	return s
}

// benchedIssuer has a client that may introspect tokens for Photos, and an API whose tokens are signed with RS256.
func benchedIssuer(iss *registry.Issuer) *registry.Issuer {
	photos, _ := iss.Resources.Get(registrytest.Photos)
	introspected := *photos
	introspected.Introspectors = []string{registrytest.Nightly}
	orders, _ := iss.Resources.Get(registrytest.Orders)
	orders.Algorithm = keys.RS256 // where the clients have it, too
	return registrytest.WithResource(iss, &introspected)
}

// tokens are as many access tokens of Alice's for Photos, under one grant.
func (s *benchSite) tokens(b testing.TB, n int) []string {
	b.Helper()
	grant := &store.Grant{
		ID: token.NewID(), AuthorizationServer: s.iss.Name, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, ExpiresAt: s.now.Add(time.Hour),
	}
	if err := s.grants.Create(b.Context(), grant, store.NoLimit); err != nil {
		b.Fatal(err)
	}
	alice, _ := s.iss.User(registrytest.Alice, registrytest.AliceUID)
	access := token.Access{
		Issuer: s.iss.URL, Subject: alice.Subject, ClientID: registrytest.PrintShop, Audience: []string{registrytest.Photos},
		Scopes: []string{registrytest.PhotosRead}, GrantID: grant.ID, ClientUID: registrytest.PrintShopUID, UserUID: registrytest.AliceUID,
		IssuedAt: s.now, ExpiresAt: s.now.Add(10 * time.Minute), AuthTime: s.now.Add(-time.Minute),
	}
	signed := make([]string, n)
	for i := range signed {
		access.ID = token.NewID()
		var err error
		if signed[i], err = access.Sign(s.iss.Keys, keys.ES256, s.now); err != nil {
			b.Fatal(err)
		}
	}
	return signed
}

// codes are as many authorization codes of the print shop's, each as the form that redeems it, with the id of its grant.
func (s *benchSite) codes(b *testing.B, n int) (forms, ids []string) {
	b.Helper()
	code := token.Code{
		ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID, RedirectURI: registrytest.PrintShopRedirect, Challenge: benchChallenge,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, SessionID: "sid-1", CredentialVersion: "1", AuthTime: s.now.Add(-time.Minute),
		Targets: []store.Target{{Resource: registrytest.Photos, Scopes: []string{registrytest.PhotosRead}}},
	}
	for range n {
		code.ID = token.NewID()
		sealed, err := code.Seal(s.iss, s.now)
		if err != nil {
			b.Fatal(err)
		}
		forms, ids = append(forms, url.Values{
			"grant_type": {oauth.GrantAuthorizationCode}, "code": {sealed}, "redirect_uri": {registrytest.PrintShopRedirect}, "code_verifier": {benchVerifier},
		}.Encode()), append(ids, code.ID)
	}
	return forms, ids
}

// The example of RFC 7636 appendix B.
const benchVerifier, benchChallenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

// BenchmarkRequest is whole requests, from the limits of the listener to the answer and its line in the log. What net/http does is not in
// it. `make bench-check` compares what they allocate with hack/bench/budget.json.
func BenchmarkRequest(b *testing.B) {
	ownToken := func(resource string) string {
		return url.Values{"grant_type": {oauth.GrantClientCredentials}, "resource": {resource}}.Encode()
	}
	b.Run("client_credentials_ES256", func(b *testing.B) {
		s := newBenchSite(b)
		post(b, s.public, nightlyAt("/token"), func(int) string { return ownToken(registrytest.Photos) })
	})
	b.Run("client_credentials_RS256", func(b *testing.B) {
		s := newBenchSite(b)
		post(b, s.public, nightlyAt("/token"), func(int) string { return ownToken(registrytest.Orders) })
	})
	b.Run("authorize", func(b *testing.B) {
		s := newBenchSite(b)
		r := s.signedIn(b)
		get(b, s.public, r)
	})
	b.Run("authorization_code", func(b *testing.B) {
		s := newBenchSite(b)
		forms, ids := s.codes(b, b.N)
		r := formAt("/token")
		r.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
		post(b, s.public, r, func(i int) string {
			if i > 0 { // one user may have so many grants
				if err := s.grants.Delete(b.Context(), ids[i-1]); err != nil {
					b.Fatal(err)
				}
			}
			return forms[i]
		})
	})
	b.Run("introspection_seen", func(b *testing.B) {
		s := newBenchSite(b)
		form := url.Values{"token": s.tokens(b, 1)}.Encode()
		post(b, s.public, nightlyAt("/introspect"), func(int) string { return form })
	})
	b.Run("introspection_first", func(b *testing.B) {
		s := newBenchSite(b)
		tokens := s.tokens(b, b.N)
		for i, raw := range tokens {
			tokens[i] = url.Values{"token": {raw}}.Encode()
		}
		post(b, s.public, nightlyAt("/introspect"), func(i int) string { return tokens[i] })
	})
	b.Run("review_seen", func(b *testing.B) {
		s := newBenchSite(b)
		body := tokenReview(b, s.tokens(b, 1)[0])
		post(b, s.reviews, fromKubernetes(), func(int) string { return body })
	})
	b.Run("review_first", func(b *testing.B) {
		s := newBenchSite(b)
		tokens := s.tokens(b, b.N)
		for i, raw := range tokens {
			tokens[i] = tokenReview(b, raw)
		}
		post(b, s.reviews, fromKubernetes(), func(i int) string { return tokens[i] })
	})
}

// signedIn is an authorization request of a browser whose user has approved it before.
func (s *benchSite) signedIn(b *testing.B) *http.Request {
	b.Helper()
	alice, _ := s.iss.User(registrytest.Alice, registrytest.AliceUID)
	cookies := &discarded{header: http.Header{}}
	browser, err := session.SignIn(cookies, s.iss, alice, s.now)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.grants.Create(b.Context(), &store.Grant{
		ID: token.NewID(), AuthorizationServer: s.iss.Name, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, SessionID: browser.Session.ID, IssuedAt: s.now, ExpiresAt: browser.Session.ExpiresAt,
		Scopes: []string{oauth.ScopeOpenID}, Targets: []store.Target{{Resource: registrytest.Photos, Scopes: []string{registrytest.PhotosRead}}},
	}, store.NoLimit); err != nil {
		b.Fatal(err)
	}
	r := requestTo("/authorize")
	r.Method, r.Body = http.MethodGet, http.NoBody
	r.URL.RawQuery = url.Values{
		"response_type": {"code"}, "client_id": {registrytest.PrintShop}, "redirect_uri": {registrytest.PrintShopRedirect}, "resource": {registrytest.Photos},
		"scope": {oauth.ScopeOpenID + " " + registrytest.PhotosRead}, "state": {"af0ifjsldkj"}, "nonce": {"n-0S6_WzA2Mj"},
		"code_challenge": {benchChallenge}, "code_challenge_method": {"S256"},
	}.Encode()
	r.RequestURI = r.URL.RequestURI()
	set := (&http.Response{Header: cookies.header}).Cookies()
	r.AddCookie(set[0])
	return r
}

// get sends a request that is answered with a code again and again.
func get(b *testing.B, handler http.Handler, r *http.Request) {
	b.Helper()
	w := &discarded{}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		w.header, w.status = http.Header{}, 0
		if handler.ServeHTTP(w, r); !strings.Contains(w.header.Get("Location"), "code=") {
			b.Fatalf("HTTP %d %s %s", w.status, w.header.Get("Location"), w.last)
		}
	}
}

// post sends the request with one body after another.
func post(b *testing.B, handler http.Handler, r *http.Request, body func(i int) string) {
	b.Helper()
	var content strings.Reader
	sent, w := io.NopCloser(&content), &discarded{}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		content.Reset(body(i))
		r.ContentLength = content.Size()
		r.Body = sent // which the handler may have put something around
		w.header, w.status = http.Header{}, 0
		if handler.ServeHTTP(w, r); w.status != http.StatusOK || strings.Contains(w.last, `"authenticated":false`) || strings.Contains(w.last, `"active":false`) {
			b.Fatalf("HTTP %d %s", w.status, w.last)
		}
	}
}

// discarded is a response that is only looked at.
type discarded struct {
	header http.Header
	status int
	last   string
}

func (d *discarded) Header() http.Header    { return d.header }
func (d *discarded) WriteHeader(status int) { d.status = status }
func (d *discarded) Write(p []byte) (int, error) {
	d.last = string(p[:min(len(p), 200)])
	return len(p), nil
}

func formAt(path string) *http.Request {
	r := requestTo(path)
	r.Header.Set("Content-Type", oauth.FormMediaType)
	return r
}

// requestTo is as net/http hands it over.
func requestTo(path string) *http.Request {
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "login.example.com",
		RemoteAddr: "192.0.2.1:40000", RequestURI: path, Header: http.Header{"Accept": {"application/json"}, "User-Agent": {"bench"}},
	}
}

func nightlyAt(path string) *http.Request {
	r := formAt(path)
	r.SetBasicAuth(registrytest.Nightly, registrytest.NightlySecret)
	return r
}

// fromKubernetes is a TokenReview by kube-apiserver, whose client certificate has been verified.
func fromKubernetes() *http.Request {
	r := requestTo("/apis/authentication.k8s.io/v1/tokenreviews")
	r.Header.Set("Content-Type", "application/json")
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	return r
}

func tokenReview(b testing.TB, raw string) string {
	b.Helper()
	body, err := json.Marshal(map[string]any{
		"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": map[string]any{"creationTimestamp": nil},
		"spec": map[string]any{"token": raw, "audiences": []string{registrytest.Photos}}, "status": map[string]any{"user": map[string]any{}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return string(body)
}
