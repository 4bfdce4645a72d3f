package store

import (
	"context"
	"errors"
	"time"
)

// ErrDecided is returned by Decide when somebody has decided before.
var ErrDecided = errors.New("store: the device authorization was decided before")

// Device is a device authorization (RFC 8628): what a device asks for, and what a user made of it. It is a value: a store
// hands out copies, or shared ones nobody changes.
type Device struct {
	// Name is what the user code is looked up by: keys.Set.UserCodeID, 32 hexadecimal digits.
	Name string
	// ID becomes the id of the grant, which is what makes the device code single-use.
	ID string
	// AuthorizationServer is the name of the issuer's object.
	AuthorizationServer string
	// ClientID and ClientUID name the client; a re-created client has another UID.
	ClientID, ClientUID string
	// Scopes are the identity scopes asked for, Targets what is asked for at resource servers, each resource once.
	Scopes  []string
	Targets []Target
	// Source is the address that the request came from, empty where it isn't known.
	Source string
	// ExpiresAt is when neither of the codes is good any more; the authorization may be swept then. Whole seconds.
	ExpiresAt time.Time
	// Decision is nil while the request waits for a user.
	Decision *Decision
}

// Waiting says whether a user can still decide at the time now.
func (d *Device) Waiting(now time.Time) bool { return d.Decision == nil && now.Before(d.ExpiresAt) }

// Decision is what a user made of a device's request.
type Decision struct {
	Approved bool
	// At is when. Whole seconds.
	At time.Time
	// User and UserUID name the user; a re-created user has another UID. SessionID is the sid of the sign-in, AuthTime when that
	// was, in whole seconds, and CredentialVersion with what.
	User, UserUID, SessionID, CredentialVersion string
	AuthTime                                    time.Time
	// Scopes and Targets are what was approved of what was asked for.
	Scopes  []string
	Targets []Target
}

// Says whether another decision is the same: the same word of the same user in the same session. A form that is sent twice
// makes two of them.
func (d *Decision) Says(other *Decision) bool {
	return d.Approved == other.Approved && d.UserUID == other.UserUID && d.SessionID == other.SessionID
}

// Devices keeps device authorizations. Implementations are safe for concurrent use, and every method honours its context.
type Devices interface {
	// Create stores a device authorization, for a client that has proven itself. ErrExists when the name is taken: another user
	// code has to be made. Any other error means that nothing may be handed out.
	Create(ctx context.Context, d *Device) error
	// Get returns the device authorization, also one that is decided or expired, or ErrNotFound. One that another replica has
	// just created is found; that another replica has just decided it may be learned a moment later. Any other error means that
	// the answer is not known: it must never be taken for "no".
	Get(ctx context.Context, name string) (*Device, error)
	// Decide records what a user decided, once: one compare-and-swap. Of any number of concurrent calls, on any number of
	// replicas, exactly one decides, and the others get ErrDecided; but one that says the same is no error, so that a form may be
	// sent twice, and an attempt whose outcome was unknown repeated. ErrNotFound when the authorization is gone, or is not the
	// one with that id. Any other error means that the outcome is not known.
	Decide(ctx context.Context, name, id string, decision *Decision) error
	// Pending returns how many device authorizations of the client wait for a user at the time now: what this replica has
	// created, and what others have created a moment ago at the latest.
	Pending(ctx context.Context, clientUID string, now time.Time) (int, error)
}
