package keys

import (
	"encoding/hex"
	"slices"
	"time"
)

// firstKeySkew lets a first key, which must be good at once, be active on a replica whose clock is behind.
const firstKeySkew = 5 * time.Minute

// How many retired keys there can be: signing keys of one algorithm, which a status lists too, and sealing keys. All of them must
// find room in one Secret.
const (
	maxKeptSigning = 24
	maxKeptSealing = 1024
)

// Schedule says when keys change. All replicas act on the times that the keys carry, so PublishAhead must exceed the time
// that a change takes to reach every replica and every cache of the JWKS.
type Schedule struct {
	// Algorithms there must be a signing key for.
	Algorithms []Algorithm
	// Interval is how long one key is in use; PublishAhead how long before its use a key is stored and published. An Interval
	// so short that more keys than can be stored would have to be kept is taken for one that is just long enough.
	Interval, PublishAhead time.Duration
	// Keep is how long a retired signing key is kept: the longest lifetime of anything it signed, plus clock skew.
	Keep time.Duration
	// KeepSealing is the same for sealing keys, which are never kept for less than Keep.
	KeepSealing time.Duration
}

func (s Schedule) forSigning() Schedule {
	s.Interval = max(s.Interval, wholeSeconds(s.Keep/maxKeptSigning))
	return s
}

func (s Schedule) forSealing() Schedule {
	s.Keep = max(s.Keep, s.KeepSealing)
	s.Interval = max(s.Interval, wholeSeconds(s.Keep/maxKeptSealing))
	return s
}

// wholeSeconds rounds up: the times of keys are whole seconds.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// Rotate returns the material that the schedule wants at the time now, and when to ask again. Without material (nil) it makes the
// first keys, which are active at once. It returns m itself when nothing has to change, and never changes m.
func (m *Material) Rotate(s Schedule, now time.Time) (next *Material, again time.Time, err error) {
	now = now.UTC().Truncate(time.Second)
	if m == nil {
		m = &Material{}
	}
	next = &Material{Digest: m.Digest, Refresh: m.Refresh, Salt: m.Salt}
	changed := false
	for _, secret := range []*[]byte{&next.Digest, &next.Refresh, &next.Salt} {
		if *secret == nil {
			*secret, changed = newSecret(), true
		}
	}
	if next.Signing, err = rotateSigning(m.Signing, s.forSigning(), now, &changed); err != nil {
		return nil, time.Time{}, err
	}
	next.Sealing = rotateSealing(m.Sealing, s.forSealing(), now, &changed)
	again = next.nextChange(s, now)
	if !changed {
		return m, again, nil
	}
	return next, again, nil
}

func rotateSigning(current []*SigningKey, s Schedule, now time.Time, changed *bool) ([]*SigningKey, error) {
	var out []*SigningKey
	for _, k := range current {
		wanted := slices.Contains(s.Algorithms, k.Algorithm)
		switch {
		case !k.RetiredAt.IsZero() && now.After(k.RetiredAt.Add(s.Keep)):
			*changed = true
			continue
		case !wanted && k.RetiredAt.IsZero():
			c := *k
			c.RetiredAt, *changed = now, true
			out = append(out, &c)
		default:
			out = append(out, k)
		}
	}
	for _, alg := range s.Algorithms {
		last := latest(out, func(k *SigningKey) bool { return k.Algorithm == alg && k.RetiredAt.IsZero() })
		switch {
		case last < 0:
			k, err := newSigningKey(alg, now.Add(-firstKeySkew))
			if err != nil {
				return nil, err
			}
			out, *changed = append(out, k), true
		case due(out[last].ActiveAt, s, now):
			k, err := newSigningKey(alg, successorAt(out[last].ActiveAt, s, now))
			if err != nil {
				return nil, err
			}
			old := *out[last]
			old.RetiredAt = k.ActiveAt
			out[last], *changed = &old, true
			out = append(out, k)
		}
	}
	return out, nil
}

func rotateSealing(current []*SealingKey, s Schedule, now time.Time, changed *bool) []*SealingKey {
	var out []*SealingKey
	for _, k := range current {
		if !k.RetiredAt.IsZero() && now.After(k.RetiredAt.Add(s.Keep)) {
			*changed = true
			continue
		}
		out = append(out, k)
	}
	last := -1
	for i, k := range out {
		if k.RetiredAt.IsZero() && (last < 0 || k.ActiveAt.After(out[last].ActiveAt)) {
			last = i
		}
	}
	switch {
	case last < 0:
		out, *changed = append(out, newSealingKey(now.Add(-firstKeySkew))), true
	case due(out[last].ActiveAt, s, now):
		k := newSealingKey(successorAt(out[last].ActiveAt, s, now))
		old := *out[last]
		old.RetiredAt = k.ActiveAt
		out[last], *changed = &old, true
		out = append(out, k)
	}
	return out
}

func newSealingKey(activeAt time.Time) *SealingKey {
	key := newSecret()
	return &SealingKey{ID: hex.EncodeToString(newSecret()[:4]), Key: key, ActiveAt: activeAt}
}

func latest(list []*SigningKey, match func(*SigningKey) bool) int {
	last := -1
	for i, k := range list {
		if match(k) && (last < 0 || k.ActiveAt.After(list[last].ActiveAt)) {
			last = i
		}
	}
	return last
}

// due says whether the successor of a key that became active at activeAt must be published.
func due(activeAt time.Time, s Schedule, now time.Time) bool {
	return !now.Before(activeAt.Add(s.Interval - s.PublishAhead))
}

// successorAt is when a successor made now becomes active: on schedule, but never before it was published long enough.
func successorAt(activeAt time.Time, s Schedule, now time.Time) time.Time {
	at, earliest := activeAt.Add(s.Interval), now.Add(s.PublishAhead)
	if at.Before(earliest) {
		return earliest
	}
	return at
}

// nextChange is the next time at which Rotate, or the state of a key, will differ.
func (m *Material) nextChange(s Schedule, now time.Time) time.Time {
	next := now.Add(s.Interval)
	consider := func(t time.Time) {
		if t.After(now) && t.Before(next) {
			next = t
		}
	}
	each := func(s Schedule, activeAt, retiredAt time.Time) {
		consider(activeAt)
		if retiredAt.IsZero() {
			consider(activeAt.Add(s.Interval - s.PublishAhead))
			return
		}
		consider(retiredAt)
		consider(retiredAt.Add(s.Keep + time.Second))
	}
	for _, k := range m.Signing {
		each(s.forSigning(), k.ActiveAt, k.RetiredAt)
	}
	for _, k := range m.Sealing {
		each(s.forSealing(), k.ActiveAt, k.RetiredAt)
	}
	return next
}
