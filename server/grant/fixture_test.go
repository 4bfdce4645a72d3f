package grant

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
	"github.com/latchkey-io/latchkey/server/token"
)

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// fixture is an issuer and its token endpoint.
type fixture struct {
	now     time.Time
	iss     *registry.Issuer
	grants  *memory.Store
	handler *Handler
	log     *syncBuffer
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{now: time.Date(2030, 1, 2, 3, 4, 5, 600, time.UTC), log: &syncBuffer{}}
	f.iss = registrytest.Issuer(t, "https://login.example.com", f.now)
	f.grants = memory.New(f.clock)
	f.handler = New(Config{
		Grants: f.grants, SignOuts: memory.NewSignOuts(f.clock), Clients: clientauth.New(clientauth.Config{}), Now: f.clock, Logger: slog.New(slog.NewJSONHandler(f.log, nil)),
		Source: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
	})
	return f
}

func (f *fixture) clock() time.Time { return f.now }

// code is what the print shop gets from Alice for photos.read.
func (f *fixture) code() *token.Code {
	return &token.Code{
		ID: token.NewID(), ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		RedirectURI: registrytest.PrintShopRedirect, Challenge: challenge(verifier),
		User: registrytest.Alice, UserUID: registrytest.AliceUID, SessionID: "sid-1", CredentialVersion: "1", AuthTime: f.now.Add(-time.Minute),
		Targets: []store.Target{at(registrytest.Photos, registrytest.PhotosRead, registrytest.PhotosWrite)},
	}
}

func (f *fixture) seal(t testing.TB, c *token.Code) string {
	t.Helper()
	sealed, err := c.Seal(f.iss, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// form is a good token request for the code.
func form(sealed string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {sealed}, "redirect_uri": {registrytest.PrintShopRedirect}, "code_verifier": {verifier},
		"client_id": {registrytest.PrintShop}, "client_secret": {registrytest.PrintShopSecret},
	}
}

// tokenRequest makes the request of a form.
func tokenRequest(form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", oauth.FormMediaType)
	return r
}

// serve answers as the server does: an error becomes the JSON of RFC 6749 section 5.2.
func (f *fixture) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	if err := f.handler.Serve(w, r, f.iss); err != nil {
		_ = oauth.WriteError(w, r, oauth.AsError(err)) // a recorder takes everything
	}
	return w
}

func (f *fixture) redeem(form url.Values) *httptest.ResponseRecorder {
	return f.serve(tokenRequest(form))
}

// issued is the body of a token response.
type issued struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`

	IssuedTokenType string `json:"issued_token_type"`
}

func wantIssued(t testing.TB, w *httptest.ResponseRecorder) issued {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s, want tokens", w.Code, w.Body)
	}
	var got issued
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func wantRefused(t testing.TB, w *httptest.ResponseRecorder, code oauth.Code) {
	t.Helper()
	var got struct {
		Error oauth.Code `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	if got.Error != code || w.Code != code.Status() {
		t.Errorf("got %d %s, want %d %s", w.Code, w.Body, code.Status(), code)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q, want no-store", w.Header().Get("Cache-Control"))
	}
}

// active says whether an access token is good at a resource.
func (f *fixture) active(raw, audience string) (*token.Active, error) {
	v := &token.Verifier{Grants: f.grants, SignOuts: memory.NewSignOuts(f.clock), Now: f.clock}
	return v.Active(context.Background(), f.iss, raw, []string{audience})
}

// claims are those of a token whose signature is not looked at.
func claims(t testing.TB, raw string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// withClient changes a copy of a client.
func (f *fixture) withClient(t testing.TB, id string, change func(*registry.Client)) {
	t.Helper()
	c := registrytest.Client(t, f.iss, id)
	change(c)
	f.iss = registrytest.WithClient(f.iss, c)
}

// withAlice changes a copy of Alice.
func (f *fixture) withAlice(t testing.TB, change func(*registry.User)) {
	t.Helper()
	u := registrytest.User(t, f.iss, registrytest.Alice)
	change(u)
	f.iss = registrytest.WithUser(f.iss, u)
}

// syncBuffer is a buffer for concurrent writers.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// at is what was granted at a resource server.
func at(resource string, scopes ...string) store.Target {
	return store.Target{Resource: resource, Scopes: scopes}
}
