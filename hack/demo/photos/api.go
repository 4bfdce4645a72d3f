package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
)

//go:embed images/*.jpg
var images embed.FS

// photo is a picture of the album.
type photo struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Prints int    `json:"prints"`
	jpeg   []byte
}

// album is what GET /photos answers.
type album struct {
	Owner  string   `json:"owner"`
	Photos []*photo `json:"photos"`
}

// api serves the album. Every user has the same six pictures, and orders prints of their own.
type api struct {
	config
	reviewer *reviewer
	logger   *slog.Logger
	photos   []photo

	mu     sync.Mutex
	prints map[string]map[string]int // user → photo → number of prints
}

const (
	scopeRead  = "photos.read"
	scopeWrite = "photos.write"
	// maxUsers bounds whose orders are remembered.
	maxUsers = 1000
)

func newAPI(c config, reviewer *reviewer, logger *slog.Logger) (http.Handler, error) {
	a := &api{config: c, reviewer: reviewer, logger: logger, prints: map[string]map[string]int{}}
	for _, p := range []photo{
		{ID: "fog", Title: "Mountains in fog"}, {ID: "sea", Title: "The sea at dusk"}, {ID: "aurora", Title: "Northern lights"},
		{ID: "forest", Title: "Morning forest"}, {ID: "dunes", Title: "Dunes"}, {ID: "stars", Title: "The hut under the stars"},
	} {
		var err error
		if p.jpeg, err = images.ReadFile("images/" + p.ID + ".jpg"); err != nil {
			return nil, err
		}
		a.photos = append(a.photos, p)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /photos", a.requires(scopeRead, a.list))
	mux.HandleFunc("GET /photos/{id}", a.requires(scopeRead, a.picture))
	mux.HandleFunc("POST /photos/{id}/prints", a.requires(scopeWrite, a.order))
	mux.HandleFunc("GET /.well-known/oauth-protected-resource", a.metadata)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { a.write(w, http.StatusOK, "ok") })
	return mux, nil
}

// requires lets only requests through whose token is good here and has the scope (RFC 6750).
func (a *api) requires(scope string, next func(http.ResponseWriter, *http.Request, caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			a.challenge(w, http.StatusUnauthorized, "")
			return
		}
		who, err := a.reviewer.review(r.Context(), token)
		switch {
		case errors.Is(err, errNotValid):
			a.challenge(w, http.StatusUnauthorized, `error="invalid_token", error_description="the access token is not valid here"`)
		case err != nil:
			a.logger.Error("a token could not be reviewed", "error", err)
			w.Header().Set("Retry-After", "1")
			a.write(w, http.StatusServiceUnavailable, map[string]string{"error": "the access token could not be reviewed"})
		case !slices.Contains(who.scopes, scope):
			a.challenge(w, http.StatusForbidden, fmt.Sprintf(`error="insufficient_scope", scope=%q`, scope))
		default:
			next(w, r, who)
		}
	}
}

func (a *api) challenge(w http.ResponseWriter, status int, problem string) {
	value := `Bearer realm="photos"`
	if problem != "" {
		value += ", " + problem
	}
	w.Header().Set("WWW-Authenticate", value)
	a.write(w, status, map[string]string{"error": http.StatusText(status)})
}

func (a *api) list(w http.ResponseWriter, _ *http.Request, who caller) {
	out := album{Owner: who.name}
	a.mu.Lock()
	for _, p := range a.photos {
		out.Photos = append(out.Photos, &photo{ID: p.ID, Title: p.Title, Prints: a.prints[who.uid][p.ID]})
	}
	a.mu.Unlock()
	a.write(w, http.StatusOK, out)
}

func (a *api) find(id string) *photo {
	for i := range a.photos {
		if a.photos[i].ID == id {
			return &a.photos[i]
		}
	}
	return nil
}

func (a *api) picture(w http.ResponseWriter, r *http.Request, _ caller) {
	p := a.find(r.PathValue("id"))
	if p == nil {
		a.write(w, http.StatusNotFound, map[string]string{"error": "there is no such photo"})
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "private, max-age=300")
	if _, err := w.Write(p.jpeg); err != nil {
		a.logger.Debug("a picture was not read to its end", "error", err)
	}
}

func (a *api) order(w http.ResponseWriter, r *http.Request, who caller) {
	p := a.find(r.PathValue("id"))
	if p == nil {
		a.write(w, http.StatusNotFound, map[string]string{"error": "there is no such photo"})
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prints[who.uid] == nil {
		if len(a.prints) >= maxUsers {
			clear(a.prints)
		}
		a.prints[who.uid] = map[string]int{}
	}
	a.prints[who.uid][p.ID]++
	a.write(w, http.StatusCreated, &photo{ID: p.ID, Title: p.Title, Prints: a.prints[who.uid][p.ID]})
}

// metadata is RFC 9728 section 2.
func (a *api) metadata(w http.ResponseWriter, _ *http.Request) {
	a.write(w, http.StatusOK, map[string]any{
		"resource": a.identifier, "authorization_servers": []string{a.authorizationServer},
		"scopes_supported": []string{scopeRead, scopeWrite}, "bearer_methods_supported": []string{"header"},
	})
}

func (a *api) write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.logger.Debug("an answer was not read to its end", "error", err)
	}
}
