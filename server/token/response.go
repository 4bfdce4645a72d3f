package token

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// SignUserinfo signs a userinfo response for the client, with the algorithm that it declares (OpenID Connect Core section 5.3.2).
// subject is its `sub`. It has no expiry, so that nobody takes it for an ID token. keys.ErrNoSigner when there is no key.
func SignUserinfo(iss *registry.Issuer, client *registry.Client, subject string, user UserClaims, now time.Time) (string, error) {
	return signAny(iss.Keys, client.UserinfoAlgorithm, now, oauth.TypJWT, struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Subject  string `json:"sub"`
		UserClaims
	}{iss.URL, client.ID, subject, user})
}

// SignIntrospection signs an introspection response (RFC 9701 section 5) with IntrospectionAlgorithm. audience is the caller: a client_id,
// or the identifier of a resource server. answer is the response as it would be unsigned: JSON of an object. keys.ErrNoSigner when
// there is no key.
func SignIntrospection(iss *registry.Issuer, audience string, answer json.RawMessage, now time.Time) (string, error) {
	return signAny(iss.Keys, IntrospectionAlgorithm(iss.Config), now, oauth.TypIntrospection, struct {
		Issuer   string          `json:"iss"`
		Audience string          `json:"aud"`
		IssuedAt int64           `json:"iat"`
		Answer   json.RawMessage `json:"token_introspection"`
	}{iss.URL, audience, now.Unix(), answer})
}

// IntrospectionAlgorithm is what introspection responses are signed with: RS256, which RFC 9701 section 6 makes the default, or what
// the issuer signs ID tokens with where it has no key for that.
func IntrospectionAlgorithm(c *registry.Config) keys.Algorithm {
	if slices.Contains(c.Algorithms, keys.RS256) {
		return keys.RS256
	}
	return c.IDTokenAlgorithm
}
