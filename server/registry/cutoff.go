package registry

import "time"

// Cutoff is a time before which nothing that was issued counts any more; zero for none. One that is still to come counts from then
// on: until then, what is issued would be refused the moment after.
type Cutoff time.Time

// before says whether something is from before the cut-off, seen at the time now.
func (c Cutoff) before(issuedAt, now time.Time) bool {
	t := time.Time(c)
	return !t.IsZero() && issuedAt.Before(t) && !now.Before(t)
}

// CutOff says whether what was issued at a time counts no more because of a cut-off of the issuer's, or of those among the client and
// the user that are not nil. Tokens know the second in which they were issued.
func (i *Issuer) CutOff(c *Client, u *User, issuedAt, now time.Time) bool {
	return i.RevokedBefore.before(issuedAt, now) || c != nil && c.RevokedBefore.before(issuedAt, now) || u != nil && u.RevokedBefore.before(issuedAt, now)
}
