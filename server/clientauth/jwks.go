package clientauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/latchkey-io/latchkey/server/keys"
)

const (
	// maxKeySets bounds how many are kept; the one that was not used for longest makes room.
	maxKeySets = 2000
	// What a server says of how long its keys may be kept counts within these bounds.
	minFresh, defaultFresh, maxFresh = time.Minute, 10 * time.Minute, time.Hour
	// maxStale is for how long after that they are used while no newer ones can be had.
	maxStale = time.Hour
	// retryAfter is the pause after an attempt, failed or not, before an unknown key, or a failure, leads to another one.
	retryAfter = 10 * time.Second
	// maxFetches bounds the attempts under way at one time, maxFetchesOfNamespace those for the clients of one namespace: anybody who
	// names a client causes one, and who declares ten thousand clients with URLs that never answer must not use up the sockets of all.
	maxFetches, maxFetchesOfNamespace = 256, 32
)

// errTooManyFetches: nothing was tried, and can be a moment later.
var errTooManyFetches = errors.New("clientauth: too many keys are being fetched")

// keySets are the keys that clients keep at URLs. Attempts to fetch one URL wait for each other, those for others don't.
type keySets struct {
	client  *http.Client
	flights singleflight.Group

	mu   sync.Mutex
	kept *simplelru.LRU[string, keySet]
	// fetching counts the attempts under way, by namespace, and fetches all of them.
	fetching map[string]int
	fetches  int
}

// keySet is what is known of a URL. It is immutable.
type keySet struct {
	// set is nil while it was never fetched.
	set *keys.PublicSet
	// freshUntil is when it should be fetched again, and usableUntil until when it may be used if that fails.
	freshUntil, usableUntil time.Time
	// triedAt is when it was tried last, err what came of it.
	triedAt time.Time
	err     error
}

func newKeySets(client *http.Client) *keySets {
	kept, err := simplelru.NewLRU[string, keySet](maxKeySets, nil)
	if err != nil {
		panic(err) // the size is not positive
	}
	return &keySets{client: client, kept: kept, fetching: map[string]int{}}
}

// get returns the keys at the URL, fetching them for a client of the namespace when those that are kept are not fresh any more.
func (s *keySets) get(ctx context.Context, namespace, uri string, now time.Time) (*keys.PublicSet, error) {
	k := s.load(uri)
	switch {
	case k.set != nil && now.Before(k.freshUntil):
		return k.set, nil
	case now.Before(k.triedAt.Add(retryAfter)): // and failed then
		return k.usable(now)
	}
	return s.fetch(ctx, namespace, uri, now)
}

// renew returns the keys at the URL as they are now, for one that is not among those that are kept; unless that was tried just
// before.
func (s *keySets) renew(ctx context.Context, namespace, uri string, now time.Time) (*keys.PublicSet, error) {
	if k := s.load(uri); now.Before(k.triedAt.Add(retryAfter)) {
		return k.usable(now)
	}
	return s.fetch(ctx, namespace, uri, now)
}

// usable are the keys for want of fresh ones.
func (k keySet) usable(now time.Time) (*keys.PublicSet, error) {
	if k.set != nil && now.Before(k.usableUntil) {
		return k.set, nil
	}
	return nil, k.err
}

// fetch fetches, or waits for whoever is doing so. The attempt goes on when the request that caused it ends, as others wait
// for it; the client's own timeout bounds it.
func (s *keySets) fetch(ctx context.Context, namespace, uri string, now time.Time) (*keys.PublicSet, error) {
	background := context.WithoutCancel(ctx)
	done := s.flights.DoChan(uri, func() (any, error) {
		old := s.load(uri)
		if !s.enter(namespace) {
			old.err = errTooManyFetches
			return old, nil
		}
		defer s.leave(namespace)
		set, fresh, err := s.download(background, uri)
		next := keySet{set: set, freshUntil: now.Add(fresh), usableUntil: now.Add(fresh + maxStale), triedAt: now}
		if err != nil {
			next = keySet{set: old.set, freshUntil: old.freshUntil, usableUntil: old.usableUntil, triedAt: now, err: err}
		}
		s.store(uri, next)
		return next, nil
	})
	select {
	case result := <-done:
		return result.Val.(keySet).usable(now)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// enter makes room for an attempt; false when there is none. Who is in must leave.
func (s *keySets) enter(namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetches >= maxFetches || s.fetching[namespace] >= maxFetchesOfNamespace {
		return false
	}
	s.fetches++
	s.fetching[namespace]++
	return true
}

func (s *keySets) leave(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetches--
	uncount(s.fetching, namespace)
}

func (s *keySets) load(uri string) keySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, _ := s.kept.Get(uri)
	return k
}

func (s *keySets) store(uri string, k keySet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept.Add(uri, k)
}

// download gets the JWK Set and how long it is fresh.
func (s *keySets) download(ctx context.Context, uri string) (*keys.PublicSet, time.Duration, error) {
	if s.client == nil {
		return nil, 0, errors.New("clientauth: nothing can be fetched")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("clientauth: fetch keys: %w", err)
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := s.client.Do(r)
	if err != nil {
		return nil, 0, fmt.Errorf("clientauth: fetch keys: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // all that is wanted has been read
	if res.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("clientauth: fetch keys: %s answers %d", uri, res.StatusCode)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, 0, fmt.Errorf("clientauth: fetch keys: %w", err)
	}
	set, err := keys.ParsePublicSet(body)
	return set, freshness(res.Header), err
}

// freshness is how long an answer may be kept (RFC 9111 section 4.2), within our bounds.
func freshness(h http.Header) time.Duration {
	fresh := defaultFresh
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return minFresh
			}
			fresh = time.Duration(seconds) * time.Second
		}
	}
	if age, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil {
		fresh -= time.Duration(age) * time.Second
	}
	return min(max(fresh, minFresh), maxFresh)
}
