package token

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
)

// How a user signed in with a password.
const (
	// ACRPassword is the authentication context class (`acr`), as SAML and after it OpenID Connect name it.
	ACRPassword = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
	// AMRPassword is the authentication method (`amr`, RFC 8176 section 2).
	AMRPassword = "pwd"
)

// Identity is an ID token (OpenID Connect Core section 2). Times are whole seconds.
type Identity struct {
	// Issuer is the issuer identifier, Subject the user's `sub`, ClientID the one audience.
	Issuer, Subject, ClientID string
	// Nonce is the client's own from the authorization request, empty where it sent none, and when the token is refreshed
	// (section 12.2).
	Nonce string
	// AccessToken is the one issued with it, which `at_hash` binds.
	AccessToken string
	// SessionID is the `sid` of the sign-in (OpenID Connect Back-Channel Logout section 2.1).
	SessionID           string
	IssuedAt, ExpiresAt time.Time
	// AuthTime is when the user signed in, ACR and AMR how.
	AuthTime time.Time
	ACR      string
	AMR      []string
	// User is what was granted to be told of the user.
	User UserClaims
}

// identityClaims is Identity on the wire.
type identityClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	IssuedAt  date     `json:"iat"`
	ExpiresAt date     `json:"exp"`
	AuthTime  date     `json:"auth_time"`
	Nonce     string   `json:"nonce,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	AtHash    string   `json:"at_hash"`
	SessionID string   `json:"sid,omitempty"`
	UserClaims
}

// Sign mints the token with the issuer's key of the algorithm that is in use at the time now. keys.ErrNoSigner when there
// is none.
func (i *Identity) Sign(set *keys.Set, alg keys.Algorithm, now time.Time) (string, error) {
	return signAny(set, alg, now, oauth.TypJWT, &identityClaims{
		Issuer:     i.Issuer,
		Subject:    i.Subject,
		Audience:   i.ClientID,
		IssuedAt:   dateOf(i.IssuedAt),
		ExpiresAt:  dateOf(i.ExpiresAt),
		AuthTime:   dateOf(i.AuthTime),
		Nonce:      i.Nonce,
		ACR:        i.ACR,
		AMR:        i.AMR,
		AtHash:     leftHalfHash(alg, i.AccessToken),
		SessionID:  i.SessionID,
		UserClaims: i.User,
	})
}

// leftHalfHash is an `at_hash` (OpenID Connect Core section 3.1.3.6), by the hash of the algorithm that signs the ID token: SHA-512
// for Ed25519 (RFC 8032 section 5.1), SHA-256 for all that have it in their name.
func leftHalfHash(alg keys.Algorithm, token string) string {
	if alg == keys.EdDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:sha512.Size/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2])
}
