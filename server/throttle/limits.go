package throttle

import "time"

// A bucket holds burst charges and takes one more for every interval: the generic cell rate algorithm, whose state is the
// one time at which the bucket will be empty again.
type bucket struct {
	burst int
	every time.Duration
}

func userLimit() bucket   { return bucket{burst: 100, every: 36 * time.Second} }
func sourceLimit() bucket { return bucket{burst: 30, every: 20 * time.Second} }

// wait is how long it is until one more charge fits.
func (b bucket) wait(state, now time.Time) time.Duration {
	return later(state, now).Sub(now) - time.Duration(b.burst-1)*b.every
}

func (b bucket) charge(state, now time.Time) time.Time { return later(state, now).Add(b.every) }

func (b bucket) refund(state time.Time) time.Time { return state.Add(-b.every) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// backoff is the state of the limit on one user from one network.
type backoff struct {
	failures int
	last     time.Time
}

const (
	freeFailures = 5
	firstWait    = time.Minute
	longestWait  = 15 * time.Minute
	forgetAfter  = 24 * time.Hour
)

// wait is how long it is until the next attempt.
func (b backoff) wait(now time.Time) time.Duration {
	if b.failures < freeFailures {
		return 0
	}
	wait := longestWait
	if doublings := b.failures - freeFailures; doublings < 4 {
		wait = firstWait << doublings
	}
	return b.last.Add(wait).Sub(now)
}

func (b backoff) charge(now time.Time) backoff {
	if now.Sub(b.last) >= forgetAfter {
		b.failures = 0
	}
	return backoff{failures: b.failures + 1, last: now}
}

func (b backoff) refund() backoff {
	return backoff{failures: max(0, b.failures-1), last: b.last}
}
