// Package throttle limits how often passwords can be guessed.
package throttle

import (
	"net/netip"
	"time"
)

// Attempt is one attempt to sign in.
type Attempt struct {
	// Issuer is the issuer identifier.
	Issuer string
	// Username as it was sent, known or not.
	Username string
	// Source is the address it came from.
	Source netip.Addr
}

// Limiter limits failed attempts.
type Limiter struct{ now func() time.Time }

// New returns a Limiter that takes the time from now.
func New(now func() time.Time) *Limiter { return &Limiter{now: now} }

// Allow charges for an attempt as if it were to fail (so that a hundred at once count as a hundred), or refuses it and
// says when to come back. An attempt that was allowed and does not fail is followed by Success or Release.
func (l *Limiter) Allow(a Attempt) (retryAfter time.Duration, ok bool) { return 0, true }

// Success takes the charge back and forgives the user's failures from there.
func (l *Limiter) Success(a Attempt) {}

// Release takes the charge back for an attempt that could not be judged.
func (l *Limiter) Release(a Attempt) {}
