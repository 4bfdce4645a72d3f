package oauthclient

import (
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

const (
	// publishAhead is how long the digest of a client secret is in status before the Secret holds the client secret, so that
	// every server knows it by the time that an application reads it.
	publishAhead = 10 * time.Second
	// maxPrevious is how many replaced client secrets are valid at most: with the current one and its successor they fill
	// status.secrets.
	maxPrevious = 6
)

// policy is what the spec, and who asks, want of a client's secrets.
type policy struct {
	interval, overlap time.Duration
	revoked           []v1alpha1.ClientSecretID
	// request asks for a rotation unless it has been handled; empty for none.
	request string
}

// isRevoked goes by the id that a client secret has, and by the one that it had when a backup was made.
func (p *policy) isRevoked(s secretValue) bool {
	return slices.Contains(p.revoked, v1alpha1.ClientSecretID(s.id)) || slices.Contains(p.revoked, v1alpha1.ClientSecretID(s.recordedID))
}

// chain are the client secrets that a Generated Secret holds.
type chain struct {
	current secretValue
	// next is to be the current one as soon as every server knows it; nil outside of a rotation. No application has seen it.
	next *secretValue
	// previous are still valid, the latest first. Each expires.
	previous []secretValue
	// handled is the last request for which there is a new current secret; asked is that for which next was made.
	handled, asked string
}

// valid are all client secrets of the chain.
func (ch *chain) valid() []secretValue {
	out := []secretValue{ch.current}
	if ch.next != nil {
		out = append(out, *ch.next)
	}
	return append(out, ch.previous...)
}

// rotation brings a chain to where the policy wants it at a time. Every step leaves a chain that is good as it is: whoever finds it
// after this process was killed goes on from there.
//
// The successor of a client secret is stored and its digest published first. Only when every server has had the time to learn
// it does the Secret hold it for applications, and only then does the time of the old one begin to run. So nobody is ever
// refused, neither who reads the Secret before each request nor who does so once in an overlap.
type rotation struct {
	policy
	chain
	now time.Time
	// publishedAt is when the digest of next was seen in status; zero when it was not.
	publishedAt time.Time
	// mint makes a client secret.
	mint func() secretValue

	notes []note
	// full: a rotation is due, and waits until there is room for one more previous secret.
	full bool
}

// note is for an Event.
type note struct{ reason, action, text string }

func (r *rotation) note(reason, action, format string, args ...any) {
	r.notes = append(r.notes, note{reason, action, fmt.Sprintf(format, args...)})
}

func (r *rotation) run() {
	r.drop()
	r.replaceUnusable()
	r.handOut()
	r.prepare()
}

// drop takes out what has expired or is revoked. An overlap that has become shorter holds for what is in it, too.
func (r *rotation) drop() {
	var kept []secretValue
	for _, s := range r.previous {
		if latest := r.expiry(); latest.Before(s.expiresAt) {
			s.expiresAt = latest
		}
		switch {
		case r.isRevoked(s):
			r.note("SecretRevoked", "Revoke", "client secret %s was revoked", s.id)
		case r.now.Before(s.expiresAt):
			kept = append(kept, s)
		}
	}
	r.previous = kept
	if r.next != nil && r.isRevoked(*r.next) {
		r.note("SecretRevoked", "Revoke", "client secret %s was revoked before it was handed out", r.next.id)
		r.next = nil
	}
}

// replaceUnusable replaces at once a current client secret that is revoked, or that somebody wrote over.
func (r *rotation) replaceUnusable() {
	switch {
	case r.isRevoked(r.current):
		r.note("SecretRevoked", "Revoke", "client secret %s was revoked and replaced", r.current.id)
	case !wellFormed(r.current.value):
		r.note("SecretReplaced", "Replace", "the client secret was not one that Latchkey makes, and was replaced")
	default:
		return
	}
	if r.next != nil {
		r.current, r.next = *r.next, nil
	} else {
		r.current = r.mint()
	}
	r.handled = r.request
}

// handOut makes the successor the current client secret once every server knows it.
func (r *rotation) handOut() {
	if r.next == nil || r.publishedAt.IsZero() || r.now.Before(r.publishedAt.Add(publishAhead)) {
		return
	}
	old := r.current
	old.expiresAt = r.expiry()
	r.previous = slices.Insert(r.previous, 0, old)
	r.current, r.next, r.handled = *r.next, nil, r.asked
	r.note("SecretRotated", "Rotate", "client secret %s took the place of %s, which remains valid until %s", r.current.id, old.id, old.expiresAt.Format(time.RFC3339))
}

// prepare makes the successor of a client secret that is to be replaced.
func (r *rotation) prepare() {
	if r.next != nil || !r.due() {
		return
	}
	if r.full = len(r.previous) >= maxPrevious; r.full {
		return
	}
	next := r.mint()
	r.next, r.asked = &next, r.request
	r.note("RotationStarted", "Rotate", "client secret %s is published, and will be handed out %v later", next.id, publishAhead)
}

func (r *rotation) due() bool {
	return (r.request != "" && r.request != r.handled) || (r.interval > 0 && !r.now.Before(r.current.createdAt.Add(r.interval)))
}

// expiry is when a client secret that is replaced now expires, in whole seconds as status has it.
func (r *rotation) expiry() time.Time {
	return r.now.Add(r.overlap + time.Second - 1).UTC().Truncate(time.Second)
}

// again is when the next step is due; zero when none is to come by itself.
func (r *rotation) again() time.Time {
	var times []time.Time
	for _, s := range r.previous {
		times = append(times, s.expiresAt)
	}
	switch {
	case r.next != nil && !r.publishedAt.IsZero():
		times = append(times, r.publishedAt.Add(publishAhead))
	case r.next == nil && r.interval > 0 && !r.full:
		times = append(times, r.current.createdAt.Add(r.interval))
	}
	return earliest(times)
}

func earliest(times []time.Time) time.Time {
	if len(times) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(times, time.Time.Compare)
}

// message is what SecretReady says besides that all is well.
func (r *rotation) message() string {
	switch {
	case r.full:
		return fmt.Sprintf("a rotation is due and waits until %s: %d replaced client secrets are still valid; to have it sooner, revoke one of them, or shorten rotation.overlap",
			r.again().Format(time.RFC3339), len(r.previous))
	case r.next != nil:
		return fmt.Sprintf("client secret %s is being published, before it is handed out", r.next.id)
	}
	return ""
}
