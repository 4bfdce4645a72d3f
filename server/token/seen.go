package token

import (
	"crypto/sha256"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/latchkey-io/latchkey/server/keys"
)

const (
	// seenShards, so that requests at the same time seldom wait for one another.
	seenShards = 64
	// seenPerShard bounds a shard, in tokens; what was not presented for longest gives way.
	seenPerShard = 512
	// maxSeenLength bounds the tokens that are remembered, in bytes: with it, and few tokens near it, the memory has an end.
	maxSeenLength = 2 << 10
)

// Seen remembers access tokens whose signatures were good, with what they claim, so that presenting one again costs no
// cryptography. It remembers nothing else: whether the key is still the issuer's, and whether time, audience, client, grant and user still
// speak for the token, is found out each time. It holds no token, only digests. A nil Seen remembers nothing.
//
// It is bounded, and only who has good tokens can fill it. It is safe for concurrent use.
type Seen struct {
	shards [seenShards]*lru.Cache[digest, *seen]
}

// digest is the SHA-256 of a token.
type digest [sha256.Size]byte

// seen is what is remembered of one token. It is never changed.
type seen struct {
	access Access
	key    *keys.SigningKey
}

// NewSeen returns one that remembers nothing yet, and takes up no memory until it does.
func NewSeen() *Seen {
	s := &Seen{}
	for i := range s.shards {
		shard, err := lru.New[digest, *seen](seenPerShard)
		if err != nil {
			panic(err) // the size is not positive: a constant is
		}
		s.shards[i] = shard
	}
	return s
}

// Candidate looks whether the token was seen before.
func (s *Seen) Candidate(raw string) Candidate {
	c := Candidate{raw: raw}
	if s == nil || len(raw) > maxSeenLength {
		return c
	}
	c.digest = digestOf(raw)
	c.seen, _ = s.shard(c.digest).Get(c.digest)
	return c
}

// remember that the signature is good. For each token that comes, up to two go whose time is over: what is remembered is about as many as
// are alive, on a server that is asked about ever new ones as well.
func (s *Seen) remember(c Candidate, key *keys.SigningKey, access Access, now time.Time) {
	if s == nil || len(c.raw) > maxSeenLength {
		return
	}
	shard := s.shard(c.digest)
	for range 2 {
		if oldest, remembered, ok := shard.GetOldest(); ok && !now.Before(remembered.access.ExpiresAt) {
			shard.Remove(oldest)
		}
	}
	shard.Add(c.digest, &seen{access, key})
}

func (s *Seen) shard(d digest) *lru.Cache[digest, *seen] { return s.shards[d[0]%seenShards] }

// signedBy says whether the key that signed it is one of the set.
func (s *seen) signedBy(set *keys.Set) bool {
	key, ok := set.Verifier(s.key.KID)
	return ok && key == s.key
}
