// Package keys holds an issuer's keys as one immutable value, the Set: it signs, finds verification keys by kid, seals and
// opens, digests client secrets, computes subjects, and publishes the JWKS. Which key is in use follows from the clock and
// the times that each key carries, so that a rotation needs no second step that could be missed. Package keys also plans
// rotations (Material.Rotate) and reads and writes the stored form.
package keys

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// Algorithm is a JWS algorithm (RFC 7518 section 3.1).
type Algorithm string

// The algorithms that Latchkey signs with.
const (
	ES256 Algorithm = "ES256"
	RS256 Algorithm = "RS256"
	PS256 Algorithm = "PS256"
	// EdDSA is with Ed25519 (RFC 8037 section 3.1).
	EdDSA Algorithm = "EdDSA"
)

// Ed25519 is a newer name of EdDSA with Ed25519 (RFC 9864 section 2.2), which others may sign under. Latchkey does not.
const Ed25519 Algorithm = "Ed25519"

// Algorithms are all that Latchkey signs with, in the order of preference.
func Algorithms() []Algorithm { return []Algorithm{ES256, RS256, EdDSA, PS256} }

// VerifiedAlgorithms are the names of all that others may sign with.
func VerifiedAlgorithms() []Algorithm { return append(Algorithms(), Ed25519) }

// Canonical is the algorithm by its name among Algorithms.
func (a Algorithm) Canonical() Algorithm {
	if a == Ed25519 {
		return EdDSA
	}
	return a
}

// expiringPurpose begins what the digest of an expiring secret is made of. No client's UID reads like it.
const expiringPurpose = "expiring client secret"

// ErrNoSigner is returned when no key of the algorithm is active.
var ErrNoSigner = errors.New("keys: no active signing key")

// SigningKey is one signing key with the times of its life.
type SigningKey struct {
	// KID is the RFC 7638 thumbprint of the public key.
	KID       string
	Algorithm Algorithm
	Private   crypto.Signer
	// ActiveAt is when it starts to sign; RetiredAt when it stops, zero while no successor is known.
	ActiveAt, RetiredAt time.Time
}

// active says whether the key signs at the time now.
func (k *SigningKey) active(now time.Time) bool {
	return !now.Before(k.ActiveAt) && (k.RetiredAt.IsZero() || now.Before(k.RetiredAt))
}

// SealingKey is one symmetric key with the times of its life.
type SealingKey struct {
	ID                  string
	Key                 []byte
	ActiveAt, RetiredAt time.Time
}

func (k *SealingKey) active(now time.Time) bool {
	return !now.Before(k.ActiveAt) && (k.RetiredAt.IsZero() || now.Before(k.RetiredAt))
}

// Set is all keys of one issuer. It is immutable and safe for concurrent use.
type Set struct {
	signing []*SigningKey
	sealing []*SealingKey
	digest  *mac
	refresh *mac
	salt    *mac
	byKID   map[string]*SigningKey
	headers map[tokensOf]string
	jwks    []byte
}

// tokensOf are the tokens of a type that a key signs.
type tokensOf struct{ kid, typ string }

// NewSet makes the Set of the material.
func NewSet(m *Material) (*Set, error) {
	s := &Set{
		signing: m.Signing, sealing: m.Sealing, digest: newMAC(m.Digest), refresh: newMAC(m.Refresh), salt: newMAC(m.Salt),
		byKID: map[string]*SigningKey{}, headers: map[tokensOf]string{},
	}
	if len(m.Digest) != secretLength || len(m.Refresh) != secretLength || len(m.Salt) != secretLength {
		return nil, fmt.Errorf("keys: the digest key, the refresh key and the salt must have %d bytes", secretLength)
	}
	for _, k := range m.Signing {
		if s.byKID[k.KID] != nil {
			return nil, fmt.Errorf("keys: kid %q occurs twice", k.KID)
		}
		s.byKID[k.KID] = k
		if err := s.addHeaders(k); err != nil {
			return nil, err
		}
	}
	for _, k := range m.Sealing {
		if len(k.Key) != secretLength {
			return nil, fmt.Errorf("keys: sealing key %q must have %d bytes", k.ID, secretLength)
		}
	}
	var err error
	s.jwks, err = marshalJWKS(m.Signing)
	return s, err
}

func (s *Set) addHeaders(k *SigningKey) error {
	for _, typ := range oauth.TokenTypes() {
		h := oauth.NewObject()
		h.String("alg", string(k.Algorithm))
		h.String("kid", k.KID)
		h.String("typ", typ)
		text, err := h.JSON()
		if err != nil {
			return fmt.Errorf("keys: the header of what %q signs: %w", k.KID, err)
		}
		s.headers[tokensOf{k.KID, typ}] = base64.RawURLEncoding.EncodeToString(text)
		h.Free()
	}
	return nil
}

// Header is the JOSE header of tokens of a type, one of oauth.TokenTypes, that the key signs, in base64url (RFC 7515 section 4.1). Empty for any
// other type, and for a key that is not in the Set.
func (s *Set) Header(k *SigningKey, typ string) string { return s.headers[tokensOf{k.KID, typ}] }

// Signer returns the key of the algorithm that signs at the time now: the one that became active last. ErrNoSigner when
// there is none.
func (s *Set) Signer(alg Algorithm, now time.Time) (*SigningKey, error) {
	var best *SigningKey
	for _, k := range s.signing {
		if k.Algorithm == alg && k.active(now) && (best == nil || k.ActiveAt.After(best.ActiveAt)) {
			best = k
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w for %s", ErrNoSigner, alg)
	}
	return best, nil
}

// Verifier returns the key with the kid, whatever its state: a key that is in the Set is one whose signatures count.
func (s *Set) Verifier(kid string) (*SigningKey, bool) {
	k, ok := s.byKID[kid]
	return k, ok
}

// JWKS is the JWK Set (RFC 7517) of all signing keys, public halves only.
func (s *Set) JWKS() []byte { return s.jwks }

// Signing returns the signing keys.
func (s *Set) Signing() []*SigningKey { return s.signing }

// ClientDigest is the HMAC-SHA-256 that stands in an OAuthClient's status for a secret. It is bound to the client object,
// the secret's id and its expiry (zero: none), so that a digest copied to another client, or given a longer life, is worth
// nothing.
func (s *Set) ClientDigest(clientUID, secretID string, expiresAt time.Time, secret string) [sha256.Size]byte {
	lasting := s.digest.of(func(b []byte) []byte {
		b = appendField(appendField(b, clientUID), secretID)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // where older digests of expiring secrets had the expiry
		return appendField(b, secret)
	})
	expiring := s.ExpiringDigest(lasting, expiresAt) // also for none, so that it takes as long
	if expiresAt.IsZero() {
		return lasting
	}
	return expiring
}

// ExpiringDigest is the digest of a secret that is to expire, made from its digest without an expiry: whoever has the key can let
// a secret expire that they don't know. Of a digest that is not genuine comes none that is.
func (s *Set) ExpiringDigest(lasting [sha256.Size]byte, expiresAt time.Time) [sha256.Size]byte {
	return s.digest.of(func(b []byte) []byte {
		b = appendField(appendField(b, expiringPurpose), lasting[:])
		return binary.BigEndian.AppendUint64(b, uint64(expiresAt.Unix()))
	})
}

// Subject is the `sub` of a user: a keyed hash under the issuer's salt, which never rotates, so that it is stable across
// backup and restore and tells nothing of the user.
func (s *Set) Subject(provider, subject string) string {
	sum := s.salt.ofFields(provider, subject)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// PairwiseSubject is the `sub` that the clients of one sector know a user by (OpenID Connect Core section 8.1): a keyed hash of
// the user's own subject, so that clients of different sectors can't tell that they know the same user.
func (s *Set) PairwiseSubject(sector, subject string) string {
	sum := s.salt.ofFields("pairwise", sector, subject)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// PairwiseSessionID is the `sid` that the clients of one sector know a session by: one and the same `sid` would tell clients of
// several sectors that they know the same user.
func (s *Set) PairwiseSessionID(sector, sessionID string) string {
	sum := s.salt.ofFields("pairwise session", sector, sessionID)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// RefreshSecret is what makes a refresh token of the grant and generation unguessable. It is computed again when the token is
// presented, so that nothing secret is stored and a response that was lost can be given again.
func (s *Set) RefreshSecret(grantID string, generation int64) []byte {
	sum := s.refresh.of(func(b []byte) []byte {
		b = appendField(appendField(b, "refresh token"), grantID)
		return binary.BigEndian.AppendUint64(b, uint64(generation))
	})
	return sum[:]
}

// UserCodeID names the device authorization that a user code stands for (RFC 8628 section 3.2): a keyed hash, so that nobody
// who can read the name can tell the code. It has 32 hexadecimal digits.
func (s *Set) UserCodeID(userCode string) string {
	sum := s.refresh.ofFields("user code", userCode)
	return hex.EncodeToString(sum[:16])
}
