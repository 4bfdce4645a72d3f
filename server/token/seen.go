package token

import (
	"crypto/sha256"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
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

// Candidate is what somebody presents as an access token: nothing of it is verified.
type Candidate struct {
	raw    string
	digest digest
	seen   *seen
}

// Candidate looks whether the token was seen before.
func (s *Seen) Candidate(raw string) Candidate {
	c := Candidate{raw: raw}
	if s == nil || len(raw) > maxSeenLength {
		return c
	}
	c.digest = sha256.Sum256([]byte(raw))
	c.seen, _ = s.shard(c.digest).Get(c.digest)
	return c
}

// remember that the signature is good.
func (s *Seen) remember(c Candidate, key *keys.SigningKey, access Access) {
	if s != nil && len(c.raw) <= maxSeenLength {
		s.shard(c.digest).Add(c.digest, &seen{access, key})
	}
}

func (s *Seen) shard(d digest) *lru.Cache[digest, *seen] { return s.shards[d[0]%seenShards] }

// Issuer is the `iss` that the token claims: to choose who verifies it, and to refuse foreign tokens cheaply. Empty for what is no JWT with
// one.
func (c *Candidate) Issuer() string {
	if c.seen != nil {
		return c.seen.access.Issuer
	}
	issuer, _ := PeekIssuer(c.raw)
	return issuer
}

// Audience is the `aud` that the token claims: to find out who may ask about it before it is verified. It is empty for what is no JWT, and
// for one that claims to be for more parties than any of ours is. It must not be changed.
func (c *Candidate) Audience() []string {
	if c.seen != nil {
		return c.seen.access.Audience
	}
	return PeekAudience(c.raw)
}

// stillGood says whether a remembered token would be verified again: by the same key of the same issuer, at that time, for one of the
// audiences. False means no more than that somebody has to look.
func (s *seen) stillGood(iss *registry.Issuer, audiences []string, now time.Time) bool {
	key, ok := iss.Keys.Verifier(s.key.KID)
	return ok && key == s.key && s.access.Issuer == iss.URL &&
		now.Before(s.access.ExpiresAt) && !now.Add(leeway).Before(s.access.IssuedAt) &&
		slices.ContainsFunc(audiences, func(audience string) bool { return slices.Contains(s.access.Audience, audience) })
}
