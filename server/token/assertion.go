package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
)

const (
	// maxAssertionLife is how far ahead an assertion may expire: an hour, which some libraries sign for, by a clock that is
	// ahead. Its `jti` is remembered for as long.
	maxAssertionLife = time.Hour + assertionLeeway
	// assertionLeeway is how far ahead a client's clock may be: `iat` and `nbf` may lie so far in the future.
	assertionLeeway = 30 * time.Second
	// maxAssertionID bounds the `jti`, in bytes.
	maxAssertionID = 512
	maxKID         = 256
)

// ErrUnknownKey is in the chain of the error for an assertion whose key is not in the set: there may be a newer set.
var ErrUnknownKey = errors.New("token: the assertion's key is not in the client's set")

// Assertion is a JWT by which a client authenticates (RFC 7523 section 3, OpenID Connect Core section 9). Until Verify has
// returned nil it is what anybody may have written.
type Assertion struct {
	// ClientID is its subject.
	ClientID string
	// ID is the `jti`, and ExpiresAt until when it has to be remembered.
	ID        string
	ExpiresAt time.Time

	raw    string
	kid    string
	method keys.Algorithm
	claims jwt.RegisteredClaims
}

// ParseAssertion reads an assertion, and refuses what no key could make good: what is malformed or huge, other types and
// extensions, and keys that it brings along (RFC 7515 sections 4.1.2, 4.1.3 and 4.1.5). What the error says is for the log.
func ParseAssertion(raw string) (*Assertion, error) {
	if !wellFormed(raw) {
		return nil, errors.New("token: the assertion is no JWT in compact form, or too long")
	}
	a := &Assertion{raw: raw}
	parsed, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(raw, &a.claims)
	if err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) { // which alg is good is decided below
		return nil, fmt.Errorf("token: assertion: %w", err)
	}
	if err := a.readHeader(parsed.Header); err != nil {
		return nil, err
	}
	a.ClientID, a.ID, a.ExpiresAt = a.claims.Subject, a.claims.ID, time.Time{}
	if a.claims.ExpiresAt != nil {
		a.ExpiresAt = a.claims.ExpiresAt.Time
	}
	if a.ClientID == "" || a.claims.Issuer != a.ClientID {
		return nil, errors.New("token: the assertion's iss and sub are not one client_id")
	}
	return a, nil
}

func (a *Assertion) readHeader(header map[string]any) error {
	for _, name := range []string{"crit", "jwk", "jku", "x5u"} {
		if _, ok := header[name]; ok {
			return fmt.Errorf("token: the assertion's header has %s", name)
		}
	}
	if typ, ok := header["typ"]; ok && !assertionType(typ) {
		return errors.New("token: the assertion has another type")
	}
	alg, _ := header["alg"].(string)
	if !slices.Contains(keys.VerifiedAlgorithms(), keys.Algorithm(alg)) {
		return errors.New("token: the assertion's alg is not ES256, RS256, PS256, EdDSA or Ed25519")
	}
	a.method = keys.Algorithm(alg).Canonical()
	if kid, ok := header["kid"]; ok {
		if a.kid, _ = kid.(string); a.kid == "" || len(a.kid) > maxKID {
			return errors.New("token: the assertion's kid is empty, too long or no string")
		}
	}
	return nil
}

// assertionType: media types don't tell upper from lower case (RFC 7515 section 4.1.9).
func assertionType(typ any) bool {
	s, _ := typ.(string)
	s = strings.TrimPrefix(strings.ToLower(s), "application/")
	return s == "jwt" || s == "client-authentication+jwt"
}

// Verify checks the assertion with the client's own keys. Every audience that it names must be one of those given, and there is
// one at least; it expires, and soon; it has an id, which the caller has to remember. The error is ErrUnknownKey when nothing but the
// key may be missing; what it says is for the log.
func (a *Assertion) Verify(set *keys.PublicSet, audiences []string, now time.Time) error {
	candidates := set.Find(a.kid, a.method)
	if len(candidates) == 0 {
		return ErrUnknownKey
	}
	if err := a.verifySignature(candidates, now); err != nil {
		return err
	}
	if len(a.claims.Audience) == 0 || slices.ContainsFunc(a.claims.Audience, func(s string) bool { return !slices.Contains(audiences, s) }) {
		return errors.New("token: the assertion's aud is not, or not only, this server")
	}
	switch {
	case !now.Before(a.ExpiresAt):
		return errors.New("token: the assertion has expired")
	case a.ExpiresAt.After(now.Add(maxAssertionLife)):
		return fmt.Errorf("token: the assertion expires in more than %s", maxAssertionLife)
	case a.ID == "" || len(a.ID) > maxAssertionID:
		return errors.New("token: the assertion has no jti, or a very long one")
	}
	return nil
}

// verifySignature tries the keys that may have signed: one, unless the assertion does not say which. The claims are judged only
// after that.
func (a *Assertion) verifySignature(candidates []keys.PublicKey, now time.Time) error {
	signed, encoded := a.raw[:strings.LastIndexByte(a.raw, '.')], a.raw[strings.LastIndexByte(a.raw, '.')+1:]
	signature, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("token: assertion: %w", err)
	}
	method := signingMethod(a.method)
	err = jwt.ErrTokenSignatureInvalid
	for _, k := range candidates {
		if err = method.Verify(signed, signature, k.Public); err == nil {
			break
		}
	}
	switch {
	case err != nil && a.kid == "": // the key that signed may be a new one
		return fmt.Errorf("%w: %w", ErrUnknownKey, err)
	case err != nil:
		return fmt.Errorf("token: assertion: %w", err)
	}
	err = jwt.NewValidator(
		jwt.WithIssuer(a.ClientID),
		jwt.WithSubject(a.ClientID),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(assertionLeeway),
		jwt.WithTimeFunc(func() time.Time { return now }),
	).Validate(a.claims)
	if err != nil {
		return fmt.Errorf("token: assertion: %w", err)
	}
	return nil
}
