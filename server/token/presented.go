package token

import (
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
)

// Presented verifies what an access token of the issuer shows by itself, for somebody who hands it back (RFC 7009): whom it is for is
// not asked, and neither is whether client, user and grant are still there. The error is ErrInactive.
func Presented(iss *registry.Issuer, raw string, now time.Time) (*Access, error) {
	c := Candidate{raw: raw}
	access, _, err := c.verify(iss, c.Audience(), now)
	if err != nil {
		return nil, err
	}
	return &access, nil
}
