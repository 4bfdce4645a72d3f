package token

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
)

// Access is an access token (RFC 9068). Times are whole seconds.
type Access struct {
	// Issuer is the issuer identifier (`iss`).
	Issuer string
	// Subject is the `sub` of the user, or the client_id where no user takes part.
	Subject  string
	ClientID string
	// Audience is the identifier of the resource server, and the issuer's where the token is good for userinfo.
	Audience []string
	Scopes   []string
	// ID is the `jti`: unguessable, as NewID makes them.
	ID string
	// GrantID names the grant that the token lives by; ClientUID and UserUID the objects it was issued to and for.
	// GrantID and UserUID are empty where no user takes part; UserUID also where the client knows users by pairwise subjects, which
	// it would make worthless: there it is in the grant alone.
	GrantID, ClientUID, UserUID string
	IssuedAt, ExpiresAt         time.Time
	// AuthTime is when the user signed in; zero where no user takes part.
	AuthTime time.Time
}

// accessClaims is Access on the wire: RFC 9068 section 2.2, and what is Latchkey's own under one name, as Kubernetes does
// it in ServiceAccount tokens.
type accessClaims struct {
	jwt.RegisteredClaims
	ClientID string           `json:"client_id"`
	Scope    string           `json:"scope,omitempty"`
	AuthTime *jwt.NumericDate `json:"auth_time,omitempty"`
	Latchkey latchkeyClaim    `json:"oauth.latchkey.io"`
}

type latchkeyClaim struct {
	Grant  string `json:"grant,omitempty"`
	Client string `json:"client"`
	User   string `json:"user,omitempty"`
}

// Sign mints the token with the issuer's key of the algorithm that is in use at the time now. keys.ErrNoSigner when there
// is none.
func (a *Access) Sign(set *keys.Set, alg keys.Algorithm, now time.Time) (string, error) {
	return sign(set, alg, now, oauth.TypAccessToken, &accessClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    a.Issuer,
			Subject:   a.Subject,
			Audience:  a.Audience,
			IssuedAt:  numericDate(a.IssuedAt),
			ExpiresAt: numericDate(a.ExpiresAt),
			ID:        a.ID,
		},
		ClientID: a.ClientID,
		Scope:    oauth.JoinScope(a.Scopes),
		AuthTime: numericDate(a.AuthTime),
		Latchkey: latchkeyClaim{Grant: a.GrantID, Client: a.ClientUID, User: a.UserUID},
	})
}

// access is the inverse of what Sign does to the claims.
func (c *accessClaims) access() Access {
	return Access{
		Issuer:    c.Issuer,
		Subject:   c.Subject,
		ClientID:  c.ClientID,
		Audience:  c.Audience,
		Scopes:    oauth.SplitScope(c.Scope),
		ID:        c.ID,
		GrantID:   c.Latchkey.Grant,
		ClientUID: c.Latchkey.Client,
		UserUID:   c.Latchkey.User,
		IssuedAt:  timeOf(c.IssuedAt),
		ExpiresAt: timeOf(c.ExpiresAt),
		AuthTime:  timeOf(c.AuthTime),
	}
}
