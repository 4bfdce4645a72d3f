package registrytest

import (
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
)

// Keys makes keys for every algorithm, active from an hour before now. No two calls in one test get the same.
func Keys(tb testing.TB, now time.Time) *keys.Set {
	tb.Helper()
	m := rotate(tb, now, keys.ES256, keys.EdDSA)
	for _, k := range rsaKeys.take(tb, now) {
		own := *k
		own.ActiveAt = m.Signing[0].ActiveAt
		m.Signing = append(m.Signing, &own)
	}
	set, err := keys.NewSet(m)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func rotate(tb testing.TB, now time.Time, algorithms ...keys.Algorithm) *keys.Material {
	tb.Helper()
	var none *keys.Material
	m, _, err := none.Rotate(keys.Schedule{
		Algorithms: algorithms, Interval: 30 * 24 * time.Hour, PublishAhead: time.Hour, Keep: 24 * time.Hour,
	}, now.Add(-time.Hour))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// pool keeps RSA keys, which take a second to make with the race detector, from one test to the next.
type pool struct {
	mu   sync.Mutex
	free [][]*keys.SigningKey
}

var rsaKeys = pool{}

// take returns a key for RS256 and one for PS256 that nobody else has until the test ends.
func (p *pool) take(tb testing.TB, now time.Time) []*keys.SigningKey {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var taken []*keys.SigningKey
	if n := len(p.free); n > 0 {
		taken, p.free = p.free[n-1], p.free[:n-1]
	} else {
		taken = rotate(tb, now, keys.RS256, keys.PS256).Signing
	}
	tb.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free = append(p.free, taken)
	})
	return taken
}
