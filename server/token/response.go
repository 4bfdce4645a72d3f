package token

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// SignUserinfo signs a userinfo response for the client, with the algorithm that it declares (OpenID Connect Core section 5.3.2).
// subject is its `sub`. It has no expiry, so that nobody takes it for an ID token. keys.ErrNoSigner when there is no key.
func SignUserinfo(iss *registry.Issuer, client *registry.Client, subject string, user UserClaims, now time.Time) (string, error) {
	return sign(iss.Keys, client.UserinfoAlgorithm, now, oauth.TypJWT, object{struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Subject  string `json:"sub"`
		UserClaims
	}{iss.URL, client.ID, subject, user}})
}

// SignIntrospection signs an introspection response (RFC 9701 section 5) with IntrospectionAlgorithm. audience is the caller: a client_id,
// or the identifier of a resource server. answer is the response as it would be unsigned: a JSON object. keys.ErrNoSigner when
// there is no key.
func SignIntrospection(iss *registry.Issuer, audience string, answer any, now time.Time) (string, error) {
	return sign(iss.Keys, IntrospectionAlgorithm(iss.Config), now, oauth.TypIntrospection, object{struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		IssuedAt int64  `json:"iat"`
		Answer   any    `json:"token_introspection"`
	}{iss.URL, audience, now.Unix(), answer}})
}

// IntrospectionAlgorithm is what introspection responses are signed with: RS256, which RFC 9701 section 6 makes the default, or what
// the issuer signs ID tokens with where it has no key for that.
func IntrospectionAlgorithm(c *registry.Config) keys.Algorithm {
	if slices.Contains(c.Algorithms, keys.RS256) {
		return keys.RS256
	}
	return c.IDTokenAlgorithm
}

// object is any JSON object as the claims of a JWT that is signed, and never read by golang-jwt.
type object struct{ value any }

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) { return json.Marshal(o.value) }

func (object) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (object) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (object) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (object) GetIssuer() (string, error)                   { return "", nil }
func (object) GetSubject() (string, error)                  { return "", nil }
func (object) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }
