// Package session knows browsers: by the session that sign-in makes, and before it by a random id that means nothing but
// "the same browser". Both are cookies; nothing is kept in the server, so that an anonymous caller causes no write.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
)

// purpose is the seal purpose of session cookies.
const purpose = "session"

// Session is a user's sign-in.
type Session struct {
	// ID is the sid: 128 random bits in base64url, new at every sign-in.
	ID string
	// User is who signed in, as of the snapshot that the request sees.
	User *registry.User
	// AuthTime is when the user proved who they are, in milliseconds: fine enough to tell whether it was before or after a
	// request.
	AuthTime time.Time
	// ExpiresAt is when the session is over.
	ExpiresAt time.Time
}

// sealed is what a session cookie holds.
type sealed struct {
	ID                string `json:"sid"`
	User              string `json:"usr"`
	UserUID           string `json:"uid"`
	CredentialVersion string `json:"ver"`
	AuthTime          int64  `json:"at"`  // Unix milliseconds
	ExpiresAt         int64  `json:"exp"` // Unix milliseconds
}

// Browser is what a request's cookies tell about where it comes from. The zero Browser is one never seen before.
type Browser struct {
	// Session is the live session, nil when nobody is signed in.
	Session *Session
	// preSession is the random id from before sign-in, empty when there is none.
	preSession string
}

// Loader reads browsers' cookies.
type Loader struct {
	// SignOuts remembers the sessions that are over.
	SignOuts store.SignOuts
}

// Load reads the cookies for the issuer. A session counts only while its user is there as the same object with the same
// credentials, was neither signed out of nor cut off since, and until the issuer's session lifetime since sign-in is over; a cookie made by another issuer counts for nothing.
// An error means that it is not known whether the session is over.
func (l Loader) Load(r *http.Request, iss *registry.Issuer, now time.Time) (Browser, error) {
	b := Browser{}
	if c, err := r.Cookie(cookieName(iss, sessionCookie)); err == nil {
		if b.Session, err = l.alive(iss, open(iss, c.Value, now)); err != nil {
			return Browser{}, err
		}
	}
	if c, err := r.Cookie(cookieName(iss, preSessionCookie)); err == nil && validID(c.Value) {
		b.preSession = c.Value
	}
	return b, nil
}

// alive returns the session unless its user has signed out.
func (l Loader) alive(iss *registry.Issuer, s *Session) (*Session, error) {
	if s == nil {
		return nil, nil
	}
	over, err := store.SignedOut(l.SignOuts, iss.Name, s.User.UID, s.ID, s.AuthTime)
	if err != nil {
		return nil, oauth.Errorf(oauth.TemporarilyUnavailable, "it is not known whether you are still signed in; try again in a moment").Wrap(err)
	}
	if over {
		return nil, nil
	}
	return s, nil
}

func open(iss *registry.Issuer, cookie string, now time.Time) *Session {
	body, err := iss.Keys.Open(iss.URL, purpose, cookie)
	if err != nil {
		return nil // forged, of another issuer, or so old that its key is gone: not signed in
	}
	var s sealed
	if err := json.Unmarshal(body, &s); err != nil {
		return nil
	}
	user, ok := iss.User(s.User, s.UserUID)
	if !ok || user.CredentialVersion != s.CredentialVersion {
		return nil
	}
	authTime := time.UnixMilli(s.AuthTime).UTC()
	if iss.CutOff(nil, user, authTime, now) {
		return nil
	}
	// The lifetime of now counts as well as that of then: shortening it ends sessions.
	expiresAt := time.UnixMilli(s.ExpiresAt).UTC()
	if sooner := authTime.Add(iss.Lifetimes.Session); sooner.Before(expiresAt) {
		expiresAt = sooner
	}
	if !now.Before(expiresAt) {
		return nil
	}
	return &Session{ID: s.ID, User: user, AuthTime: authTime, ExpiresAt: expiresAt}
}

// Binding is a hash that only this browser's cookies give, and only until it signs in anew: it goes into what is sealed
// for one browser. Empty when the browser has no cookie of ours.
func (b Browser) Binding() string {
	switch {
	case b.Session != nil:
		return digest("session " + b.Session.ID)
	case b.preSession != "":
		return digest("pre-session " + b.preSession)
	}
	return ""
}

// Ensure gives a browser without a session or pre-session a pre-session, and returns the browser as it is then.
func Ensure(w http.ResponseWriter, iss *registry.Issuer, b Browser) Browser {
	if b.Binding() != "" {
		return b
	}
	b.preSession = newID()
	setCookie(w, iss, preSessionCookie, b.preSession)
	return b
}

// SignIn makes a new session for the user, with a new sid, in place of whatever session and pre-session there was: an id
// that somebody planted before sign-in is worth nothing after it.
func SignIn(w http.ResponseWriter, iss *registry.Issuer, u *registry.User, now time.Time) (Browser, error) {
	authTime := now.UTC().Truncate(time.Millisecond)
	s := &Session{ID: newID(), User: u, AuthTime: authTime, ExpiresAt: authTime.Add(iss.Lifetimes.Session)}
	body, err := json.Marshal(sealed{
		ID: s.ID, User: u.Name, UserUID: u.UID, CredentialVersion: u.CredentialVersion,
		AuthTime: s.AuthTime.UnixMilli(), ExpiresAt: s.ExpiresAt.UnixMilli(),
	})
	if err != nil {
		return Browser{}, fmt.Errorf("session: seal: %w", err)
	}
	cookie, err := iss.Keys.Seal(iss.URL, purpose, body, now)
	if err != nil {
		return Browser{}, fmt.Errorf("session: seal: %w", err)
	}
	setCookie(w, iss, sessionCookie, cookie)
	clearCookie(w, iss, preSessionCookie)
	return Browser{Session: s}, nil
}

// SignOut makes the browser forget session and pre-session.
func SignOut(w http.ResponseWriter, iss *registry.Issuer) {
	clearCookie(w, iss, sessionCookie)
	clearCookie(w, iss, preSessionCookie)
}

// idLength is the length of an id in bytes.
const idLength = 16

func newID() string {
	var b [idLength]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func validID(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == idLength
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:idLength])
}
