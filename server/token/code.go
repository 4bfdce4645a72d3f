package token

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
)

// codePurpose is the seal purpose of authorization codes: nothing sealed for another purpose opens as one.
const codePurpose = "code"

// Code is an authorization code (RFC 6749 section 4.1.2). It is stateless: everything that redemption has to know travels
// in it, sealed. That it works only once is the store's doing, by way of its ID. Times are in whole seconds, but AuthTime in milliseconds.
type Code struct {
	// ID becomes the id of the grant; see NewID.
	ID string `json:"id"`
	// ClientID and ClientUID name the client that the code was issued to, and nobody else may redeem it.
	ClientID  string `json:"cid"`
	ClientUID string `json:"cuid"`
	// RedirectURI as the request carried it, which it always did: a request without one is refused. The token request must
	// repeat it (RFC 6749 section 4.1.3).
	RedirectURI string `json:"uri"`
	// Challenge is the S256 code challenge (RFC 7636 section 4.2), empty only for a client that may do without.
	Challenge string `json:"cc,omitempty"`
	// User and UserUID name who signed in, SessionID the sid, AuthTime when, and CredentialVersion with what.
	User              string    `json:"usr"`
	UserUID           string    `json:"uuid"`
	SessionID         string    `json:"sid"`
	CredentialVersion string    `json:"ver"`
	AuthTime          time.Time `json:"at"`
	// Scopes are the identity scopes that the user approved, Targets what was approved at resource servers.
	Scopes  []string       `json:"sc,omitempty"`
	Targets []store.Target `json:"tg,omitempty"`
	// UserinfoClaims and IDTokenClaims are the claims asked for by name (OpenID Connect Core section 5.5), beyond what the
	// scopes bring.
	UserinfoClaims []string `json:"uc,omitempty"`
	IDTokenClaims  []string `json:"ic,omitempty"`
	// KeepUntil is until when the grant is kept at least, so that it is remembered what the user approved and, when the user
	// signs out, whom to tell.
	KeepUntil time.Time `json:"keep,omitzero"`
	// Nonce is for the ID token (OpenID Connect Core section 3.1.2.1), empty when the request had none.
	Nonce string `json:"non,omitempty"`
	// IssuedAt and ExpiresAt are set by Seal.
	IssuedAt  time.Time `json:"iat"`
	ExpiresAt time.Time `json:"exp"`
}

// Targets is what of an Ask is stored: names alone, which are given a meaning again whenever they are used.
func Targets(ask *registry.Ask) []store.Target {
	var targets []store.Target
	for _, t := range ask.Targets {
		target := store.Target{Resource: t.Resource.Identifier}
		for _, s := range t.Scopes {
			target.Scopes = append(target.Scopes, s.Name)
		}
		targets = append(targets, target)
	}
	return targets
}

// ErrCodeTooLong is returned for a code that no token request could carry.
var ErrCodeTooLong = errors.New("token: the code is too long")

// Seal gives the code its lifetime, which is the issuer's, and returns it as the client gets to see it. ErrCodeTooLong when
// the client could not redeem it.
func (c *Code) Seal(iss *registry.Issuer, now time.Time) (string, error) {
	sealed := *c
	sealed.KeepUntil = c.KeepUntil.UTC().Truncate(time.Second)
	sealed.AuthTime = c.AuthTime.UTC().Truncate(time.Millisecond)
	sealed.IssuedAt = now.UTC().Truncate(time.Second)
	sealed.ExpiresAt = sealed.IssuedAt.Add(iss.Lifetimes.AuthorizationCode)
	body, err := json.Marshal(&sealed)
	if err != nil {
		return "", fmt.Errorf("token: seal code: %w", err)
	}
	code, err := iss.Keys.Seal(iss.URL, codePurpose, body, now)
	if err == nil && len(code) > oauth.MaxParameterLength {
		return "", ErrCodeTooLong
	}
	return code, err
}

// OpenCode returns the code that Seal made for the issuer. Whatever else is presented gives an error that tells nothing
// about it. Whether the code has expired is left to the caller: see Expired.
func OpenCode(iss *registry.Issuer, sealed string) (*Code, error) {
	body, err := iss.Keys.Open(iss.URL, codePurpose, sealed)
	if err != nil {
		return nil, err
	}
	c := &Code{}
	if err := json.Unmarshal(body, c); err != nil {
		return nil, fmt.Errorf("token: open code: %w", err)
	}
	return c, nil
}

// Expired says whether the code may not be redeemed any more at the time now.
func (c *Code) Expired(now time.Time) bool { return !now.Before(c.ExpiresAt) }

// NewID returns a new id for a code and the grant that comes of it: 160 random bits as 32 characters of lower-case base32,
// which is a Kubernetes object name too.
func NewID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
