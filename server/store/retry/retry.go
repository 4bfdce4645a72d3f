// Package retry bounds how often a change of something stored is tried.
package retry

const (
	// attempts is how often something is looked at that is to be changed: what is in memory, what is there, and what is there once
	// the outcome of a write was not known.
	attempts = 5
	// conflicts is how often it is looked at besides because somebody else had changed it. Every conflict is another's success, so
	// that as many may come together.
	conflicts = 64
)

// Bound counts the looks at something that led to nothing. The zero Bound has seen none.
type Bound struct {
	attempts, conflicts int
}

// Left says whether there is to be another look.
func (b *Bound) Left() bool { return b.attempts < attempts && b.conflicts < conflicts }

// Count takes what came of a look: that somebody else was first, or anything else that settled nothing.
func (b *Bound) Count(conflict bool) {
	if conflict {
		b.conflicts++
	} else {
		b.attempts++
	}
}
