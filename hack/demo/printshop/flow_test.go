package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// world is an authorization server, a photos API and the shop, each on its own address.
type world struct {
	t                  *testing.T
	issuer, api, shop  *httptest.Server
	key, announced     *ecdsa.PrivateKey // what ID tokens are signed with, and what the key set holds
	secret             string            // the client secret that is right just now
	kid                string
	browser            *http.Client
	asked              url.Values          // the last authorization request
	scope              string              // what is granted
	change             func(jwt.MapClaims) // what is wrong with the next ID token
	redeemed, reviewed []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, key: key, announced: key, secret: "one", kid: "k1", scope: "openid profile photos.read", change: func(jwt.MapClaims) {}}
	w.issuer, w.api = httptest.NewServer(w.authorizationServer()), httptest.NewServer(w.photos())
	shop := httptest.NewUnstartedServer(nil)
	c := config{publicURL: "http://" + shop.Listener.Addr().String(), issuer: w.issuer.URL, photosURL: w.api.URL, resource: "https://photos.demo.svc"}
	read := func(context.Context) (credentials, error) {
		return credentials{"demo.print-shop", w.secret, w.issuer.URL}, nil
	}
	s, err := newShop(c, read, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	shop.Config.Handler = s.routes()
	shop.Start()
	w.shop = shop
	t.Cleanup(func() { shop.Close(); w.api.Close(); w.issuer.Close() })
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.browser = &http.Client{Jar: jar}
	return w
}

func (w *world) authorizationServer() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(out http.ResponseWriter, _ *http.Request) {
		u := w.issuer.URL
		w.answer(out, http.StatusOK, provider{Issuer: u, AuthorizationEndpoint: u + "/authorize", TokenEndpoint: u + "/token", JWKSURI: u + "/keys", IssInResponse: true})
	})
	mux.HandleFunc("GET /authorize", func(_ http.ResponseWriter, r *http.Request) { w.asked = r.URL.Query() })
	mux.HandleFunc("GET /keys", func(out http.ResponseWriter, _ *http.Request) {
		point, err := w.announced.PublicKey.Bytes()
		if err != nil {
			w.t.Error(err)
			return
		}
		encode := base64.RawURLEncoding.EncodeToString
		w.answer(out, http.StatusOK, map[string]any{"keys": []webKey{{Kty: "EC", Kid: "k1", Alg: "ES256", Crv: "P-256", X: encode(point[1:33]), Y: encode(point[33:])}}})
	})
	mux.HandleFunc("POST /token", w.token)
	return mux
}

// token takes any code, from the client that authenticates and proves the PKCE verifier.
func (w *world) token(out http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	w.redeemed = append(w.redeemed, r.PostFormValue("code"))
	switch {
	case id != "demo.print-shop" || secret != w.secret:
		w.answer(out, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	case base64.RawURLEncoding.EncodeToString(challenge[:]) != w.asked.Get("code_challenge"),
		r.PostFormValue("resource") != "https://photos.demo.svc", r.PostFormValue("redirect_uri") != w.shop.URL+"/callback":
		w.answer(out, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "<b>no</b>"})
		return
	}
	claims := jwt.MapClaims{
		"iss": w.issuer.URL, "aud": id, "sub": "s-1", "name": "Alice <Liddell>", "nonce": w.asked.Get("nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
	w.change(claims)
	t := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	t.Header["kid"] = w.kid
	signed, err := t.SignedString(w.key)
	if err != nil {
		w.t.Error(err)
	}
	w.answer(out, http.StatusOK, map[string]any{"access_token": "access-token-for-photos", "token_type": "Bearer", "expires_in": 60, "id_token": signed, "scope": w.scope})
}

func (w *world) photos() http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.reviewed = append(w.reviewed, r.Header.Get("Authorization"))
		switch {
		case w.scope == "": // the permission was taken back
			out.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPost && !strings.Contains(w.scope, scopeWrite):
			out.WriteHeader(http.StatusForbidden)
		case r.Method == http.MethodPost:
			w.answer(out, http.StatusCreated, photo{ID: "sea", Title: "The sea", Prints: 1})
		default:
			w.answer(out, http.StatusOK, album{Owner: "oauth:alice", Photos: []photo{{ID: "sea", Title: "The sea"}}})
		}
	})
}

func (w *world) answer(out http.ResponseWriter, status int, v any) {
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(status)
	if err := json.NewEncoder(out).Encode(v); err != nil {
		w.t.Error(err)
	}
}

// visit follows redirects as a browser does.
func (w *world) visit(method, path string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.shop.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.browser.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it was read whole
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// signIn begins at /login and comes back with a code.
func (w *world) signIn() (int, string) {
	w.t.Helper()
	w.visit("GET", "/login")
	return w.comeBack(url.Values{"code": {"c"}})
}

func (w *world) comeBack(q url.Values) (int, string) {
	w.t.Helper()
	q.Set("state", w.asked.Get("state"))
	q.Set("iss", w.issuer.URL)
	return w.visit("GET", "/callback?"+q.Encode())
}

func (w *world) expect(status int, page string, wantStatus int, parts ...string) {
	w.t.Helper()
	if status != wantStatus {
		w.t.Errorf("status %d, want %d", status, wantStatus)
	}
	for _, part := range parts {
		if !strings.Contains(page, part) {
			w.t.Errorf("the page does not contain %q:\n%s", part, page)
		}
	}
}

func code(value string) string { return `<code id="error-code">` + value + `</code>` }

func TestSignInShowsThePhotosAndNoSecret(t *testing.T) {
	w := newWorld(t)
	status, page := w.signIn()
	w.expect(status, page, http.StatusOK, `id="photo-grid"`, "Alice &lt;Liddell&gt;", "oauth:alice", `src="/photos/sea"`, `id="steps"`)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if w.asked.Get(name) == "" {
			t.Errorf("the authorization request has no %s", name)
		}
	}
	if w.asked.Get("code_challenge_method") != "S256" || w.asked.Get("resource") != "https://photos.demo.svc" || w.asked.Get("scope") != "openid profile photos.read" {
		t.Errorf("authorization request: %v", w.asked)
	}
	if strings.Contains(page, "access-token-for-photos") || strings.Contains(page, w.asked.Get("state")) {
		t.Error("the page shows a secret")
	}
	if len(w.reviewed) == 0 || w.reviewed[0] != "Bearer access-token-for-photos" {
		t.Errorf("the API was called with %q", w.reviewed)
	}
}

func TestCallbackWorksOnce(t *testing.T) {
	w := newWorld(t)
	w.signIn()
	status, page := w.comeBack(url.Values{"code": {"c"}})
	w.expect(status, page, http.StatusBadRequest, code("invalid_state"))
	if len(w.redeemed) != 1 {
		t.Errorf("codes redeemed: %q", w.redeemed)
	}
	w.visit("GET", "/login")
	w.comeBack(url.Values{"error": {"access_denied"}})
	status, page = w.comeBack(url.Values{"code": {"c"}})
	w.expect(status, page, http.StatusBadRequest, code("invalid_state"))
}

func TestCallbackOfAnotherBrowser(t *testing.T) {
	w := newWorld(t)
	w.visit("GET", "/login")
	w.browser.Jar = nil
	status, page := w.comeBack(url.Values{"code": {"c"}})
	w.expect(status, page, http.StatusBadRequest, code("invalid_state"))
	if len(w.redeemed) != 0 {
		t.Errorf("codes redeemed: %q", w.redeemed)
	}
}

func TestIDTokenThatIsNotGoodSignsNobodyIn(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string, value any) func(*world) {
		return func(w *world) { w.change = func(c jwt.MapClaims) { c[name] = value } }
	}
	for name, prepare := range map[string]func(*world){
		"another nonce":       set("nonce", "x"),
		"no nonce":            set("nonce", ""),
		"another issuer":      set("iss", "https://evil.example"),
		"another audience":    set("aud", "demo.other"),
		"a second audience":   set("aud", []string{"demo.print-shop", "demo.other"}),
		"expired":             set("exp", time.Now().Add(-time.Minute).Unix()),
		"no expiry":           set("exp", nil),
		"about nobody":        set("sub", ""),
		"signed by no key":    func(w *world) { w.key = other },
		"an unknown key's id": func(w *world) { w.kid = "k2" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			status, page := w.signIn()
			w.expect(status, page, http.StatusBadGateway, code("invalid_id_token"))
			if status, page = w.visit("GET", "/photos"); !strings.Contains(page, `id="print-photos"`) {
				t.Errorf("somebody is signed in: %d\n%s", status, page)
			}
		})
	}
}

func TestRotatedSecretIsFollowed(t *testing.T) {
	w := newWorld(t)
	w.visit("GET", "/login")
	w.secret = "two"
	status, page := w.comeBack(url.Values{"code": {"c"}})
	w.expect(status, page, http.StatusOK, `id="photo-grid"`)
}

func TestErrorOfTheTokenEndpointIsEscaped(t *testing.T) {
	w := newWorld(t)
	w.visit("GET", "/login")
	w.asked.Set("code_challenge", "another")
	status, page := w.comeBack(url.Values{"code": {"c"}})
	w.expect(status, page, http.StatusBadGateway, code("invalid_grant"), "&lt;b&gt;no")
}

func TestOrderNeedsMorePermissionAndDenyingItKeepsTheRest(t *testing.T) {
	w := newWorld(t)
	w.signIn()
	status, page := w.visit("POST", "/photos/sea/print")
	w.expect(status, page, http.StatusOK, code("insufficient_scope"), `id="ask-for-more"`)
	w.visit("GET", "/login?write=1")
	if !strings.Contains(w.asked.Get("scope"), scopeWrite) {
		t.Errorf("asked for %q", w.asked.Get("scope"))
	}
	status, page = w.comeBack(url.Values{"error": {"access_denied"}})
	w.expect(status, page, http.StatusBadRequest, code("access_denied"))
	status, page = w.visit("GET", "/photos")
	w.expect(status, page, http.StatusOK, `id="photo-grid"`)
	w.visit("GET", "/login?write=1")
	w.scope += " " + scopeWrite
	w.comeBack(url.Values{"code": {"c2"}})
	status, page = w.visit("POST", "/photos/sea/print")
	w.expect(status, page, http.StatusOK, `id="notice"`)
}

func TestPermissionTakenBack(t *testing.T) {
	w := newWorld(t)
	w.signIn()
	w.scope = ""
	status, page := w.visit("GET", "/photos")
	w.expect(status, page, http.StatusUnauthorized, code("invalid_token"))
}

func TestLeavingForgetsTheTokens(t *testing.T) {
	w := newWorld(t)
	w.signIn()
	status, page := w.visit("POST", "/logout")
	w.expect(status, page, http.StatusOK, `id="print-photos"`)
	if _, page = w.visit("GET", "/photos"); strings.Contains(page, `id="photo-grid"`) {
		t.Error("still signed in")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := sessions{all: map[string]session{}}
	for range maxSessions + 50 {
		s.start(httptest.NewRecorder(), "", session{})
	}
	if len(s.all) != maxSessions {
		t.Errorf("%d sessions", len(s.all))
	}
}
