package server_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/store"
)

// BenchmarkCodeFlow is what a code flow with PKCE costs the server when the user is signed in and has approved before: two requests,
// with an access token and an ID token that are signed with ES256. What HTTP takes is not in it.
func BenchmarkCodeFlow(b *testing.B) {
	f := newFlowBench(b)
	b.Run("authorize", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.authorize(b)
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.redeem(b, f.authorize(b))
			f.forget(b) // one user may have so many grants
		}
	})
}

// flowBench is a browser that is signed in, and its client.
type flowBench struct {
	*servertest.Server
	handler   http.Handler
	host      string
	cookies   []*http.Cookie
	query     string
	consented string // the grant that remembers what was approved
}

func newFlowBench(b *testing.B) *flowBench {
	b.Helper()
	s := servertest.StartWith(b, func(c *server.Config) {
		c.Limits, c.Logger = limit.Rates{}, slog.New(slog.NewJSONHandler(io.Discard, nil))
	})
	iss := s.Issuer("")
	shop, _ := iss.Client(registrytest.PrintShop)
	signedAlike := *shop
	signedAlike.IDTokenAlgorithm = keys.ES256
	s.Publish(registrytest.WithClient(iss, &signedAlike))
	at, err := url.Parse(s.URL)
	if err != nil {
		b.Fatal(err)
	}
	browser := s.NewBrowser()
	page := browser.Decide(browser.SignIn(browser.Authorize("", servertest.Params()), registrytest.Alice, registrytest.AlicePassword), "allow")
	f := &flowBench{Server: s, handler: s.Replica().Config.Handler, host: at.Host, cookies: browser.Jar.Cookies(at), query: servertest.Params().Encode()}
	f.redeem(b, page.Response(b).Get("code"))
	f.consented = f.grants(b)[0].ID
	return f
}

func (f *flowBench) serve(b *testing.B, r *http.Request, want int) *httptest.ResponseRecorder {
	r.Host = f.host
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if w.Code != want {
		b.Fatalf("%s: %d %s", r.URL.Path, w.Code, w.Body)
	}
	return w
}

func (f *flowBench) authorize(b *testing.B) (code string) {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/authorize?"+f.query, nil)
	for _, c := range f.cookies {
		r.AddCookie(c)
	}
	back, err := url.Parse(f.serve(b, r, http.StatusSeeOther).Header().Get("Location"))
	if err != nil || !back.Query().Has("code") {
		b.Fatal(back, err)
	}
	return back.Query().Get("code")
}

func (f *flowBench) redeem(b *testing.B, code string) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {registrytest.PrintShopRedirect},
		"code_verifier": {servertest.Verifier},
	}
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
	f.serve(b, r, http.StatusOK)
}

func (f *flowBench) grants(b *testing.B) []*store.Grant {
	found, err := f.Grants.Find(b.Context(), store.Query{AuthorizationServer: f.Issuer("").Name, UserUID: registrytest.AliceUID})
	if err != nil || len(found) == 0 {
		b.Fatal(found, err)
	}
	return found
}

// forget deletes all grants but the one that remembers.
func (f *flowBench) forget(b *testing.B) {
	for _, g := range f.grants(b) {
		if g.ID == f.consented {
			continue
		}
		if err := f.Grants.Delete(b.Context(), g.ID); err != nil {
			b.Fatal(err)
		}
	}
}
