package token

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
)

// logoutLife is how long a logout token is good. It is delivered at once, or not at all.
const logoutLife = 2 * time.Minute

// Logout is a logout token (OpenID Connect Back-Channel Logout section 2.4): the issuer tells a client that a session is over.
type Logout struct {
	// Issuer is the issuer identifier, Subject the user's `sub` at the client, ClientID the one audience.
	Issuer, Subject, ClientID string
	// SessionID is the `sid` that ID tokens of the session carry; empty when all of the user's sessions are over.
	SessionID string
	// ID is the `jti`.
	ID string
}

// logoutClaims is Logout on the wire. There is no nonce, lest it be taken for an ID token.
type logoutClaims struct {
	jwt.RegisteredClaims
	SessionID string              `json:"sid,omitempty"`
	Events    map[string]struct{} `json:"events"`
}

// Sign mints the token, which is good for two minutes, with the issuer's key of the algorithm, which is that of the client's ID
// tokens (section 2.6). keys.ErrNoSigner when there is none.
func (l *Logout) Sign(set *keys.Set, alg keys.Algorithm, now time.Time) (string, error) {
	return signAny(set, alg, now, oauth.TypLogoutToken, &logoutClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: l.Issuer, Subject: l.Subject, Audience: jwt.ClaimStrings{l.ClientID}, ID: l.ID,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(logoutLife)),
		},
		SessionID: l.SessionID,
		Events:    map[string]struct{}{oauth.EventBackChannelLogout: {}},
	})
}
