package store

import (
	"context"
	"time"
)

// SignOut is the end of a session, or of all that a user has at an issuer. It is a value: a store hands out none.
type SignOut struct {
	// AuthorizationServer is the name of the issuer's object.
	AuthorizationServer string
	// User and UserUID name the user.
	User, UserUID string
	// SessionID is the sid of the session that is over; empty when all sessions and grants of the user are.
	SessionID string
	// At is when. Milliseconds.
	At time.Time
	// ExpiresAt is when nothing from before could be of use anyway; it may be swept then. Whole seconds.
	ExpiresAt time.Time
}

// Everywhere says whether all sessions and grants of the user are over.
func (s *SignOut) Everywhere() bool { return s.SessionID == "" }

// SignOuts remembers who has signed out. Implementations are safe for concurrent use.
type SignOuts interface {
	// Record stores a sign-out. Recording one again moves it on in time, never back. An error means that it may not be stored.
	Record(ctx context.Context, s *SignOut) error
	// Over says whether the session has been signed out of. What another replica has just recorded is learned a moment later. An
	// error means that it is not known.
	Over(authorizationServer, sessionID string) (bool, error)
	// SignedOutAt is when the user signed out everywhere last, zero for never; what is from before is over. Otherwise it is like Over.
	SignedOutAt(authorizationServer, userUID string) (time.Time, error)
}

// SignedOut says whether a session of the user that began at a time, or what came of it at that time, is over: the user signed out of
// that session, which may be none, or everywhere since then. An error means that it is not known.
func SignedOut(s SignOuts, authorizationServer, userUID, sessionID string, since time.Time) (bool, error) {
	if sessionID != "" {
		if over, err := s.Over(authorizationServer, sessionID); over || err != nil {
			return over, err
		}
	}
	at, err := s.SignedOutAt(authorizationServer, userUID)
	return !at.IsZero() && !since.After(at), err
}
