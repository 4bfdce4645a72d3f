// Package store defines where grants are kept. Package storetest beneath it holds the conformance suite that every
// implementation passes.
package store

import (
	"context"
	"errors"
	"time"
)

// ErrExists is returned by Create when the id has been used before, whatever has become of the grant since.
var ErrExists = errors.New("store: grant exists")

// ErrNotFound is returned when there is no such grant: it never was, it was deleted, or it has expired and been swept.
var ErrNotFound = errors.New("store: grant not found")

// Reasons for a revocation.
const (
	// ReasonCodeReplayed: the authorization code was presented again.
	ReasonCodeReplayed = "CodeReplayed"
)

// Grant is what a user granted a client. It is a value: a store hands out copies, or shared ones nobody changes.
type Grant struct {
	// ID is 32 characters of lower-case base32, chosen by the server.
	ID string
	// AuthorizationServer is the name of the issuer's object.
	AuthorizationServer string
	// ClientID and ClientUID name the client; a re-created client has another UID.
	ClientID, ClientUID string
	// User and UserUID name the user; a re-created user has another UID.
	User, UserUID string
	// SessionID is the sid of the sign-in at which the grant was made.
	SessionID string
	// AuthTime is when the user signed in.
	AuthTime time.Time
	// Scopes granted, identity scopes included.
	Scopes []string
	// Resources are the identifiers of the resource servers that were granted.
	Resources []string
	// ExpiresAt is when nothing issued under the grant is valid any more; it may be swept then. Whole seconds.
	ExpiresAt time.Time
	// Attempt is a random value that tells one attempt to redeem a code from another.
	Attempt string
	// RevokedAt is when the grant was revoked; zero while it is alive.
	RevokedAt time.Time
	// RevokedReason is one of the Reason constants.
	RevokedReason string
}

// Alive says whether tokens issued under the grant are still good at the time now.
func (g *Grant) Alive(now time.Time) bool {
	return g.RevokedAt.IsZero() && now.Before(g.ExpiresAt)
}

// Grants keeps grants. Implementations are safe for concurrent use, and every method honours its context.
type Grants interface {
	// Create stores a grant under an id that was never used before; it is the gate that makes a code single-use. Of any
	// number of concurrent calls with one id, on any number of replicas, exactly one returns nil and the others ErrExists.
	// ErrExists also answers for an id whose grant was deleted within the lifetime of a code. When the outcome of the write
	// is unknown, the stored Attempt decides. Any other error means that nothing may be issued.
	Create(ctx context.Context, g *Grant) error
	// Get returns the grant, also one that is revoked or expired, or ErrNotFound. A grant that another replica has just
	// created is found. Any other error means that the answer is not known: it must never be taken for "no".
	Get(ctx context.Context, id string) (*Grant, error)
	// Revoke marks the grant as revoked, once: a second call keeps the first time and reason. ErrNotFound when it is gone.
	Revoke(ctx context.Context, id, reason string, at time.Time) error
}
