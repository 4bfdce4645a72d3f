package token

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// remembered says whether the token was seen with a good signature.
func (f *fixture) remembered(raw string) bool {
	c := f.verifier.Seen.Candidate(raw)
	return c.seen != nil
}

func TestSeenAgain(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access())
	first, err := f.active(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !f.remembered(raw) {
		t.Fatal("a good token is not remembered")
	}
	c := f.verifier.Seen.Candidate(raw)
	if c.Issuer() != issuerURL || len(c.Audience()) != 2 {
		t.Errorf("it claims issuer %q and audience %q", c.Issuer(), c.Audience())
	}
	again, err := f.active(raw)
	if err != nil || again.ID != first.ID || again.User.UID != first.User.UID || again.Grant.ID != first.Grant.ID {
		t.Errorf("the second time: %+v, %v", again, err)
	}
}

// TestSeenOfGoodSignaturesAlone: what was refused is verified each time.
func TestSeenOfGoodSignaturesAlone(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access())
	foreign := registrytest.Issuer(t, issuerURL, f.now)
	forged, err := f.access().Sign(foreign.Keys, keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	long := f.access()
	long.Scopes = append(long.Scopes, strings.Repeat("s", maxSeenLength))
	for name, raw := range map[string]string{
		"tampered": raw[:len(raw)-8] + "AAAAAAAA", "another key's": forged, "not a token": "a.b.c", "longer than is remembered": f.sign(t, long),
	} {
		for range 2 {
			if _, err := f.active(raw); err == nil && name != "longer than is remembered" || err != nil && !errors.Is(err, ErrInactive) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if f.remembered(raw) {
			t.Errorf("%s: it is remembered", name)
		}
	}
}

// TestSeenUnderKeysThatAreGone: a good signature is worth what its key is worth now.
func TestSeenUnderKeysThatAreGone(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access())
	if _, err := f.active(raw); err != nil {
		t.Fatal(err)
	}
	issuer := *f.iss
	issuer.Keys = registrytest.Issuer(t, issuerURL, f.now).Keys // what an administrator does whose keys have leaked
	f.iss = &issuer
	if got, err := f.active(raw); !errors.Is(err, ErrInactive) {
		t.Errorf("a token seen under a key that is gone: got %+v, %v, want ErrInactive", got, err)
	}
}

// TestSeenAtAnotherIssuer: one issuer's token is not the other's, even if it had the same keys.
func TestSeenAtAnotherIssuer(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access())
	if _, err := f.active(raw); err != nil {
		t.Fatal(err)
	}
	issuer, config := *f.iss, *f.iss.Config
	config.URL = "https://other.example.com"
	issuer.Config = &config
	f.iss = &issuer
	if got, err := f.active(raw); !errors.Is(err, ErrInactive) {
		t.Errorf("got %+v, %v, want ErrInactive", got, err)
	}
}

// TestSeenWhenTheClockGoesBack: what was issued in the future by now is refused as when it is seen for the first time.
func TestSeenWhenTheClockGoesBack(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access())
	if _, err := f.active(raw); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(-leeway - time.Second)
	if got, err := f.active(raw); !errors.Is(err, ErrInactive) {
		t.Errorf("got %+v, %v, want ErrInactive", got, err)
	}
}

func TestSeenIsBounded(t *testing.T) {
	f, s := newFixture(t), NewSeen()
	f.remembers(s, 0, 3*seenShards*seenPerShard)
	if n := s.len(); n != seenShards*seenPerShard {
		t.Errorf("%d tokens are remembered, want %d", n, seenShards*seenPerShard)
	}
}

// TestSeenForgetsWhatIsOver: as many tokens again as there were push out all that have expired.
func TestSeenForgetsWhatIsOver(t *testing.T) {
	const n = 64 * seenShards
	f, s := newFixture(t), NewSeen()
	f.remembers(s, 0, n)
	f.now = f.now.Add(time.Hour)
	f.remembers(s, n, n)
	if held := s.len(); held > n+n/8 {
		t.Errorf("%d tokens are remembered, and %d of them are alive", held, n)
	}
}

// remembers puts so many tokens in, numbered from the first.
func (f *fixture) remembers(s *Seen, first, n int) {
	access, key := *f.access(), &keys.SigningKey{}
	for i := range n {
		s.remember(s.Candidate(strconv.Itoa(first+i)), key, access, f.now)
	}
}

func (s *Seen) len() (n int) {
	for _, shard := range s.shards {
		n += shard.Len()
	}
	return n
}
