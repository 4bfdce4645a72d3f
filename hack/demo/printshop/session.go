package main

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	sessionCookie = "print-shop-session"
	sessionLife   = time.Hour
	// maxSessions bounds the memory: whoever comes when it is full ends the oldest one.
	maxSessions = 1000
)

// attempt is a sign-in that is under way.
type attempt struct {
	// provider is the one that was asked. Only its answer counts, whatever the configuration says by then.
	provider               *provider
	state, nonce, verifier string
	scopes                 []string
}

// session is a browser's.
type session struct {
	createdAt time.Time
	attempt   *attempt
	token     *oauth2.Token
	claims    *idClaims
	steps     []stepShown
	notice    string
	refusal   *refusal
}

// sessions are kept in memory: the tokens never reach the browser.
type sessions struct {
	secure bool // cookies for https only
	mu     sync.Mutex
	all    map[string]session
}

func random() string { return rand.Text() }

// load returns a copy of the browser's session, and its id.
func (s *sessions) load(r *http.Request) (string, session) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", session{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[c.Value]
	if !ok || time.Since(found.createdAt) > sessionLife {
		return "", session{}
	}
	return c.Value, found
}

// start begins a new session, so that no id outlives a sign-in.
func (s *sessions) start(w http.ResponseWriter, old string, v session) {
	id := random()
	v.createdAt = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, old)
	if len(s.all) >= maxSessions {
		s.evictOldest()
	}
	s.all[id] = v
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: id, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLife.Seconds())})
}

// save changes a session that is still there.
func (s *sessions) save(id string, v session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[id]; ok {
		s.all[id] = v
	}
}

func (s *sessions) end(w http.ResponseWriter, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}

func (s *sessions) evictOldest() {
	var oldest string
	for id, v := range s.all {
		if oldest == "" || v.createdAt.Before(s.all[oldest].createdAt) {
			oldest = id
		}
	}
	delete(s.all, oldest)
}
