package kubernetes

import "time"

// burials are the ids that were deleted a short while ago, with the version of their deletion. All are remembered equally long, so
// the queue is in the order of their end.
type burials struct {
	limit int
	byID  map[string]burial
	queue []queued
}

type burial struct {
	version string
	until   time.Time
}

type queued struct {
	id    string
	until time.Time
}

func newBurials(limit int) burials {
	return burials{limit: limit, byID: map[string]burial{}}
}

func (b *burials) add(id, version string, now time.Time) {
	b.expire(now)
	until := now.Add(remembered)
	b.byID[id] = burial{version, until}
	b.queue = append(b.queue, queued{id, until})
}

func (b *burials) get(id string, now time.Time) (version string, ok bool) {
	found, ok := b.byID[id]
	if !ok || now.After(found.until) {
		return "", false
	}
	return found.version, true
}

// expire forgets what is over, and the oldest when there are too many.
func (b *burials) expire(now time.Time) {
	n := 0
	for n < len(b.queue) && (now.After(b.queue[n].until) || len(b.queue)-n >= b.limit) {
		q := b.queue[n]
		if b.byID[q.id].until.Equal(q.until) { // else it was deleted again later
			delete(b.byID, q.id)
		}
		n++
	}
	b.queue = b.queue[n:]
}
