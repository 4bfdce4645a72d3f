// Package store defines where grants are kept. Package storetest beneath it holds the conformance suite that every
// implementation passes.
package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ErrExists is returned by Create when the id has been used before, whatever has become of the grant since.
var ErrExists = errors.New("store: grant exists")

// ErrTooMany is returned by Create when the user has as many grants as the limit says.
var ErrTooMany = errors.New("store: the user has too many grants")

// NoLimit lets Create make a grant however many the user has.
const NoLimit = 0

// ErrNotFound is returned when there is no such grant: it never was, it was deleted, or it has expired and been swept.
var ErrNotFound = errors.New("store: grant not found")

// ErrConflict is returned by Rotate and Renew when the grant is not of the generation that it was taken for, or revoked: somebody else was there
// before.
var ErrConflict = errors.New("store: the grant is of another generation")

// Reasons for a revocation.
const (
	// ReasonCodeReplayed: the authorization code was presented again.
	ReasonCodeReplayed = "CodeReplayed"
	// ReasonRefreshTokenReused: a refresh token was presented again after its successor was used, or too late.
	ReasonRefreshTokenReused = "RefreshTokenReused"
	// ReasonRevokedByClient: the client gave its token back (RFC 7009).
	ReasonRevokedByClient = "RevokedByClient"
	// ReasonSignedOut: the user signed out of the session at which the grant was made.
	ReasonSignedOut = "SignedOut"
)

// Target is what was granted at one resource server.
type Target struct {
	// Resource is the identifier of the resource server.
	Resource string `json:"r"`
	// Scopes granted there; none for a token that says no more than whom it is for.
	Scopes []string `json:"s,omitempty"`
}

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
	// IssuedAt is when the grant was made. Milliseconds.
	IssuedAt time.Time
	// Scopes are the identity scopes that were granted.
	Scopes []string
	// Targets are what was granted at resource servers, each resource once.
	Targets []Target
	// UserinfoClaims are the claims that the client asked for one by one at the userinfo endpoint (OpenID Connect Core section
	// 5.5), and IDTokenClaims those in the ID token, beyond what the scopes bring.
	UserinfoClaims, IDTokenClaims []string
	// ExpiresAt is when nothing issued under the grant is valid any more; it may be swept then. Whole seconds.
	ExpiresAt time.Time
	// RefreshUntil is when the grant can't be refreshed any more, whatever happens; zero for a grant without refresh tokens.
	// Whole seconds.
	RefreshUntil time.Time
	// Generation is that of the refresh token in force: 1 when the grant is created with one, 0 for a grant without.
	Generation int64
	// RotatedAt is when that generation was made. Whole seconds.
	RotatedAt time.Time
	// Attempt is a random value that tells one attempt to redeem a code from another.
	Attempt string
	// RevokedAt is when the grant was revoked; zero while it is alive.
	RevokedAt time.Time
	// RevokedReason is one of the Reason constants.
	RevokedReason string
}

// Share makes the grant hold what is equal in another one together with it, so that it is in memory once. The other one is not changed.
func (g *Grant) Share(other *Grant) {
	share(&g.AuthorizationServer, other.AuthorizationServer)
	share(&g.ClientID, other.ClientID)
	share(&g.ClientUID, other.ClientUID)
	share(&g.User, other.User)
	share(&g.UserUID, other.UserUID)
	share(&g.SessionID, other.SessionID)
	shareList(&g.Scopes, other.Scopes)
	shareList(&g.UserinfoClaims, other.UserinfoClaims)
	shareList(&g.IDTokenClaims, other.IDTokenClaims)
	if slices.EqualFunc(g.Targets, other.Targets, func(a, b Target) bool { return a.Resource == b.Resource && slices.Equal(a.Scopes, b.Scopes) }) {
		g.Targets = other.Targets
	}
}

func share(s *string, other string) {
	if *s == other {
		*s = other
	}
}

func shareList(l *[]string, other []string) {
	if slices.Equal(*l, other) {
		*l = other
	}
}

// Alive says whether tokens issued under the grant are still good at the time now.
func (g *Grant) Alive(now time.Time) bool {
	return g.RevokedAt.IsZero() && now.Before(g.ExpiresAt)
}

// Query says which grants to find: those of a user, at a client, or of a session. AuthorizationServer is needed, and UserUID or
// SessionID; the other members match everything when they are empty.
type Query struct {
	AuthorizationServer, UserUID, ClientUID, SessionID string
}

// InForce says whether the grant's refresh token of the generation is the one that counts.
func (g *Grant) InForce(generation int64) bool {
	return generation > 0 && g.Generation == generation && g.RevokedAt.IsZero()
}

// Advanced is the grant with another generation, made at rotatedAt and good until expiresAt; or with the same one renewed, which
// puts neither time back. It is the grant itself when that changes nothing.
func (g *Grant) Advanced(to int64, rotatedAt, expiresAt time.Time) *Grant {
	next := *g
	if to != g.Generation {
		next.Generation, next.RotatedAt, next.ExpiresAt = to, rotatedAt, expiresAt
		return &next
	}
	if !rotatedAt.After(g.RotatedAt) && !expiresAt.After(g.ExpiresAt) {
		return g
	}
	if rotatedAt.After(g.RotatedAt) {
		next.RotatedAt = rotatedAt
	}
	if expiresAt.After(g.ExpiresAt) {
		next.ExpiresAt = expiresAt
	}
	return &next
}

// ErrQuery is returned by Find for a query that would be a search among all grants.
var ErrQuery = errors.New("store: a query names an authorization server, and a user or a session")

// Validate returns ErrQuery for a query that says too little.
func (q Query) Validate() error {
	if q.AuthorizationServer == "" || q.UserUID == "" && q.SessionID == "" {
		return ErrQuery
	}
	return nil
}

// Matches says whether the grant is one of those.
func (q Query) Matches(g *Grant) bool {
	return g.AuthorizationServer == q.AuthorizationServer && (q.UserUID == "" || q.UserUID == g.UserUID) &&
		(q.ClientUID == "" || q.ClientUID == g.ClientUID) && (q.SessionID == "" || q.SessionID == g.SessionID)
}

// Refreshable says whether the grant has a refresh token that is good at the time now, if it is not left alone for longer than idle.
func (g *Grant) Refreshable(now time.Time, idle time.Duration) bool {
	return g.RevokedAt.IsZero() && g.Generation > 0 && now.Before(g.RefreshUntil) && now.Before(g.RotatedAt.Add(idle))
}

// Grants keeps grants. Implementations are safe for concurrent use, and every method honours its context.
type Grants interface {
	// Create stores a grant under an id that was never used before; it is the gate that makes a code single-use. Of any
	// number of concurrent calls with one id, on any number of replicas, exactly one returns nil and the others ErrExists.
	// ErrExists also answers for an id whose grant was deleted within the lifetime of a code. When the outcome of the write
	// is unknown, the stored Attempt decides.
	//
	// A limit other than NoLimit makes it ErrTooMany where the user has as many grants or more: those of other issuers, and those that are
	// over, may be counted, and some that concurrent calls create may not. Whether the id was used before is not known then. Where they can't be
	// counted the grant is created. Any other error means that nothing may be issued.
	Create(ctx context.Context, g *Grant, limit int) error
	// Get returns the grant, also one that is revoked or expired, or ErrNotFound. A grant that another replica has just
	// created is found, and one that has expired is as it is now, refreshed by another replica or not. Any other error means that the answer is not known: it must never be taken for "no".
	Get(ctx context.Context, id string) (*Grant, error)
	// Known returns what Get would, where that asks nobody else; nil otherwise.
	Known(ctx context.Context, id string) *Grant
	// Rotate makes the grant's next generation: one compare-and-swap, which sets Generation to from+1, and RotatedAt and
	// ExpiresAt as given, if and only if the grant is of the generation from and not revoked. It returns the grant as it is
	// then. Of any number of concurrent calls, on any number of replicas, at most one succeeds; the others get ErrConflict,
	// with the grant as it is now, read live. A revoked grant is ErrConflict too; one that is gone ErrNotFound. When the
	// outcome of the write is unknown, a live read decides: the generation it finds may be this call's own doing or
	// another's, and is ErrConflict. Any other error means that nothing is known.
	Rotate(ctx context.Context, id string, from int64, rotatedAt, expiresAt time.Time) (*Grant, error)
	// Renew puts RotatedAt and ExpiresAt of a grant off whose refresh token stays as it is; it writes nothing when they are that
	// far already. It returns the grant as it is then; ErrConflict with the grant as it is now, read live, when it is not of the generation, or
	// revoked; ErrNotFound when it is gone.
	Renew(ctx context.Context, id string, generation int64, rotatedAt, expiresAt time.Time) (*Grant, error)
	// Find returns the grants that are not revoked and match the query, in no particular order; expired ones may be among
	// them. One that another replica has just created may be missing. ErrQuery when the query says too little; any other error
	// means that the answer is not known. The slice is the caller's, the grants are not.
	Find(ctx context.Context, q Query) ([]*Grant, error)
	// Revoke marks the grant as revoked, once: a second call keeps the first time and reason. ErrNotFound when it is gone.
	Revoke(ctx context.Context, id, reason string, at time.Time) error
}
