package token

import (
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// ErrHint is returned for an id_token_hint that is none. What else its message says is for the log alone.
var ErrHint = errors.New("token: not an ID token of the issuer")

// Hint is what an ID token of ours says of the sign-in at which it was issued.
type Hint struct {
	// Subject is the `sub` by which the client knows the user; see registry.Issuer.Subject.
	Subject string
	// ClientID is the client that it was issued to.
	ClientID string
	// SessionID is the `sid`.
	SessionID string
}

// ParseHint reads an id_token_hint (OpenID Connect Core section 3.1.2.1, RP-Initiated Logout section 2): an ID token of the issuer, by
// any of its keys. That it has expired does not matter: it is no credential, and says only whom the client means. ErrHint for
// anything else, access tokens included.
func ParseHint(iss *registry.Issuer, raw string) (*Hint, error) {
	claims := &identityClaims{}
	if err := decodeClaims(raw, claims); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHint, err)
	}
	if _, err := signedBy(iss.Keys, raw, oauth.TypJWT); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHint, err)
	}
	switch {
	case claims.Issuer != iss.URL:
		return nil, fmt.Errorf("%w: another issuer's", ErrHint)
	case claims.Subject == "" || claims.Audience == "" || claims.ExpiresAt == 0 || claims.AuthTime == 0:
		return nil, fmt.Errorf("%w: it lacks what every ID token has", ErrHint) // a userinfo response is a JWT of ours, too
	}
	return &Hint{Subject: claims.Subject, ClientID: claims.Audience, SessionID: claims.SessionID}, nil
}
