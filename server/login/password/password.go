// Package password hashes passwords and verifies them, with the same work whether a user is known or not and never more
// at once than the machine can bear.
package password

import (
	"context"
	"errors"
)

// ErrTooBusy says that so many passwords are waiting to be verified that this one isn't: HTTP 503, and try again.
var ErrTooBusy = errors.New("password: too many verifications are waiting")

// Verifier verifies passwords.
type Verifier struct{}

// NewVerifier returns a Verifier sized for this machine.
func NewVerifier() *Verifier { return &Verifier{} }

// Verify says whether the password is the one that hash was made of. For a user who is unknown or has no password, hash is
// empty: the answer is no, after the work that a known user's password would have cost. username chooses which
// work that is, and is looked at for nothing else. Errors: ErrTooBusy, the context's, or that the hash can't be used.
func (v *Verifier) Verify(ctx context.Context, username, hash, password string) (bool, error) {
	return false, errors.New("password: not ready")
}
