package main

import (
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

//go:embed templates
var files embed.FS

// shop is the web application.
type shop struct {
	config
	credentials credentialSource
	logger      *slog.Logger
	client      *http.Client
	pages       *template.Template
	sessions    sessions
}

const scopeWrite = "photos.write"

func newShop(c config, source credentialSource, logger *slog.Logger) (*shop, error) {
	pages, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	return &shop{
		config: c, credentials: source, logger: logger, pages: pages,
		client:   &http.Client{Timeout: 10 * time.Second, CheckRedirect: noRedirect},
		sessions: sessions{secure: strings.HasPrefix(c.publicURL, "https:"), all: map[string]session{}},
	}, nil
}

// noRedirect keeps codes, secrets and tokens from being carried on to wherever an answer points.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.front)
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("GET /callback", s.callback)
	mux.HandleFunc("GET /photos", s.album)
	mux.HandleFunc("GET /photos/{id}", s.picture)
	mux.HandleFunc("POST /photos/{id}/print", s.order)
	mux.HandleFunc("POST /logout", s.logout)
	for _, asset := range []string{"style.css", "icon.svg"} {
		mux.HandleFunc("GET /"+asset, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, files, "templates/"+asset)
		})
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	// Forms of other sites are refused before they are looked at.
	return http.NewCrossOriginProtection().Handler(secured(mux))
}

// secured sets the headers of every answer.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

func (s *shop) redirectURL() string { return s.publicURL + "/callback" }

// front is the first page.
func (s *shop) front(w http.ResponseWriter, r *http.Request) {
	_, browser := s.sessions.load(r)
	s.show(w, http.StatusOK, "front.html", map[string]any{"SignedIn": browser.token != nil})
}

// login is step 1: it sends the browser to the authorization server. State, nonce and verifier stay here.
func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	creds, p, err := s.provider(r)
	if err != nil {
		s.fail(w, "The authorization server can't be reached", err)
		return
	}
	a := &attempt{provider: p, state: random(), nonce: random(), verifier: oauth2.GenerateVerifier(), scopes: []string{"openid", "profile", "photos.read"}}
	if r.URL.Query().Get("write") != "" {
		a.scopes = append(a.scopes, scopeWrite)
	}
	old, browser := s.sessions.load(r)
	browser.attempt = a // who is signed in and asks for more stays so if the answer is no
	s.sessions.start(w, old, browser)
	to := p.config(creds, s.redirectURL(), a.scopes).AuthCodeURL(a.state,
		oauth2.S256ChallengeOption(a.verifier),
		oauth2.SetAuthURLParam("nonce", a.nonce),
		oauth2.SetAuthURLParam("resource", s.resource))
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// provider reads the credentials and what the issuer says of itself, as they are now.
func (s *shop) provider(r *http.Request) (credentials, *provider, error) {
	creds, err := s.credentials(r.Context())
	if err != nil {
		return creds, nil, err
	}
	issuer := s.issuer
	if issuer == "" {
		issuer = creds.issuer
	}
	p, err := discover(r.Context(), s.client, issuer)
	return creds, p, err
}

// callback is steps 3 and 4: the browser is back with a code or an error.
func (s *shop) callback(w http.ResponseWriter, r *http.Request) {
	id, browser := s.sessions.load(r)
	a := browser.attempt
	browser.attempt = nil // whatever comes of it, it is over
	s.sessions.save(id, browser)
	q := r.URL.Query()
	if refused := checkResponse(q, a); refused != nil {
		s.refuse(w, http.StatusBadRequest, *refused)
		return
	}
	creds, err := s.credentials(r.Context())
	if err != nil {
		s.fail(w, "The print shop can't find its own credentials", err)
		return
	}
	p := a.provider
	token, err := p.config(creds, s.redirectURL(), a.scopes).Exchange(s.exchangeContext(r), q.Get("code"),
		oauth2.VerifierOption(a.verifier), oauth2.SetAuthURLParam("resource", s.resource))
	if err != nil {
		s.exchangeFailed(w, err)
		return
	}
	raw, _ := token.Extra("id_token").(string)
	claims, err := p.verifyIDToken(r.Context(), s.client, raw, creds.clientID, a.nonce)
	if err != nil {
		s.logger.Error("an ID token is not good", "error", err)
		s.refuse(w, http.StatusBadGateway, refusal{Code: "invalid_id_token", Title: "The ID token is not good", Text: "It does not prove who you are, so nobody is signed in. Begin again."})
		return
	}
	next := session{token: token, claims: claims}
	next.steps = describe(creds, p, a, q, token, claims)
	s.sessions.start(w, id, next)
	http.Redirect(w, r, "/photos", http.StatusSeeOther)
}

// checkResponse checks an authorization response before anything in it is used: that this browser began it, and that it
// comes from the issuer that was asked (RFC 9207).
func checkResponse(q url.Values, a *attempt) *refusal {
	switch {
	case a == nil || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(a.state)) != 1:
		return &refusal{Code: "invalid_state", Title: "This sign-in was not begun here", Text: "The answer does not belong to a sign-in of this browser. Begin again."}
	case (a.provider.IssInResponse || q.Has("iss")) && q.Get("iss") != a.provider.Issuer:
		return &refusal{Code: "invalid_issuer", Title: "The answer comes from somebody else", Text: "It names another authorization server than the one that was asked."}
	case q.Get("error") == "access_denied":
		return &refusal{Code: "access_denied", Title: "You said no", Text: "The print shop was given nothing that it asked for. You can begin again whenever you like."}
	case q.Has("error"):
		return &refusal{Code: q.Get("error"), Title: "The authorization server refused", Text: q.Get("error_description")}
	case q.Get("code") == "":
		return &refusal{Code: "invalid_response", Title: "There is no code in the answer", Text: "Begin again."}
	}
	return nil
}

func (s *shop) exchangeFailed(w http.ResponseWriter, err error) {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.ErrorCode != "" {
		s.refuse(w, http.StatusBadGateway, refusal{Code: refused.ErrorCode, Title: "The code was not exchanged", Text: refused.ErrorDescription})
		return
	}
	s.fail(w, "The code could not be exchanged", err)
}

// logout forgets the tokens.
func (s *shop) logout(w http.ResponseWriter, r *http.Request) {
	id, _ := s.sessions.load(r)
	s.sessions.end(w, id)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// scopes are those of a token.
func scopes(t *oauth2.Token) []string {
	text, _ := t.Extra("scope").(string)
	return strings.Fields(text)
}

func mayWrite(t *oauth2.Token) bool { return slices.Contains(scopes(t), scopeWrite) }
