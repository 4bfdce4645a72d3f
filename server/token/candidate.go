package token

import (
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// Candidate is what somebody presents as an access token: nothing of it is verified. It is read once, when something is first asked of it,
// and not at all if it was seen before.
type Candidate struct {
	raw    string
	digest digest
	seen   *seen
	// read is what it says, and unreadable why that is nothing.
	read       *accessClaims
	unreadable error
}

// Issuer is the `iss` that the token claims: to choose who verifies it, and to refuse foreign tokens cheaply. Empty for what is no JWT with
// one.
func (c *Candidate) Issuer() string {
	if c.seen != nil {
		return c.seen.access.Issuer
	}
	return c.claims().Issuer
}

// Audience is the `aud` that the token claims: to find out who may ask about it before it is verified. It is empty for what is no JWT, and
// for one that claims to be for more parties than any of ours is. It must not be changed.
func (c *Candidate) Audience() []string {
	if c.seen != nil {
		return c.seen.access.Audience
	}
	if claimed := c.claims().Audience; len(claimed) <= maxAudiences {
		return claimed
	}
	return nil
}

// claims is what the token says, nothing if it can't be read.
func (c *Candidate) claims() *accessClaims {
	if c.read == nil {
		c.read = &accessClaims{}
		if c.unreadable = decodeClaims(c.raw, c.read); c.unreadable != nil {
			c.read = &accessClaims{}
		}
	}
	return c.read
}

// verify verifies what the token shows by itself (RFC 9068 section 4, RFC 8725), and says by which key. What is no good whoever signed it
// costs no cryptography.
func (c *Candidate) verify(iss *registry.Issuer, audiences []string, now time.Time) (Access, *keys.SigningKey, error) {
	claims := c.claims()
	if c.unreadable != nil {
		return Access{}, nil, inactive("%w", c.unreadable)
	}
	access := claims.access()
	if err := access.current(iss, audiences, now); err != nil {
		return Access{}, nil, err
	}
	if now.Add(leeway).Before(claims.NotBefore.time()) {
		return Access{}, nil, inactive("it is not good yet")
	}
	key, err := signedBy(iss.Keys, c.raw, oauth.TypAccessToken)
	if err != nil {
		return Access{}, nil, inactive("%w", err)
	}
	return access, key, nil
}
