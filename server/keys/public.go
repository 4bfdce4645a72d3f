package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// Bounds on the keys of others.
const (
	maxPublicKeys = 32
	minRSABits    = 2048
	// maxRSABits bounds the work of verifying a signature.
	maxRSABits = 4096
)

// ErrNoPublicKeys is returned for a JWK Set without a single key that Latchkey can verify with.
var ErrNoPublicKeys = errors.New("keys: the JWK Set has no signature key for ES256, RS256, PS256 or EdDSA")

// PublicKey is a key that somebody else signs with.
type PublicKey struct {
	// KID may be empty.
	KID string
	// Algorithms are those that the key may be used with: the one that its JWK names, else all of its type.
	Algorithms []Algorithm
	Public     crypto.PublicKey
}

// PublicSet is the keys of somebody else, from a JWK Set (RFC 7517 section 5). It is immutable.
type PublicSet struct{ keys []PublicKey }

// Keys are all keys of the set, in its order.
func (s *PublicSet) Keys() []PublicKey { return s.keys }

// Find returns the keys that a JWS with the kid and algorithm may be signed with: those of that kid, or all when the JWS has
// none.
func (s *PublicSet) Find(kid string, alg Algorithm) []PublicKey {
	var found []PublicKey
	for _, k := range s.keys {
		if kid != "" && k.KID != kid {
			continue
		}
		for _, a := range k.Algorithms {
			if a == alg {
				found = append(found, k)
			}
		}
	}
	return found
}

// publicJWK is what is read of a JWK. Private members are looked for to be refused.
type publicJWK struct {
	jwk
	D, K   string
	KeyOps []string `json:"key_ops"`
}

// ParsePublicSet reads a JWK Set. Keys that are not for signatures, or of a type or curve that is not known, are left out (RFC 7517
// section 5); a private or symmetric key, an RSA key of fewer than 2048 or more than 4096 bits, and a point that is not on its curve
// are errors. ErrNoPublicKeys when nothing is left.
func ParsePublicSet(data []byte) (*PublicSet, error) {
	var raw struct {
		Keys []publicJWK `json:"keys"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("keys: not a JWK Set: %w", err)
	}
	if len(raw.Keys) > maxPublicKeys {
		return nil, fmt.Errorf("keys: a JWK Set has %d keys at most", maxPublicKeys)
	}
	set := &PublicSet{}
	for i, k := range raw.Keys {
		public, err := k.parse()
		if err != nil {
			return nil, fmt.Errorf("keys: key %d of the JWK Set: %w", i, err)
		}
		if public != nil {
			set.keys = append(set.keys, *public)
		}
	}
	if len(set.keys) == 0 {
		return nil, ErrNoPublicKeys
	}
	return set, nil
}

// parse returns nil for a key that is none of our business.
func (k *publicJWK) parse() (*PublicKey, error) {
	switch {
	case k.D != "" || k.K != "" || k.Kty == "oct":
		return nil, errors.New("it is private or symmetric: declare public keys only")
	case k.Use != "" && k.Use != "sig":
		return nil, nil
	}
	public, algorithms, err := k.public()
	if err != nil || public == nil {
		return nil, err
	}
	if k.Alg != "" {
		named := algorithms
		algorithms = nil
		for _, a := range named {
			if a == Algorithm(k.Alg).Canonical() {
				algorithms = []Algorithm{a}
			}
		}
	}
	if len(algorithms) == 0 {
		return nil, nil
	}
	return &PublicKey{KID: k.KID, Algorithms: algorithms, Public: public}, nil
}

func (k *publicJWK) public() (crypto.PublicKey, []Algorithm, error) {
	switch {
	case k.Kty == "EC" && k.Crv == "P-256":
		public, err := k.ecdsa()
		return public, []Algorithm{ES256}, err
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		x, err := decodeMember(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, nil, errors.New("x is not an Ed25519 public key")
		}
		return ed25519.PublicKey(x), []Algorithm{EdDSA}, nil
	case k.Kty == "RSA":
		public, err := k.rsa()
		return public, []Algorithm{RS256, PS256}, err
	}
	return nil, nil, nil
}

func (k *publicJWK) ecdsa() (crypto.PublicKey, error) {
	x, errX := decodeMember(k.X)
	y, errY := decodeMember(k.Y)
	const size = 32
	if errX != nil || errY != nil || len(x) != size || len(y) != size {
		return nil, errors.New("x and y must have 32 bytes each")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, errors.New("its point is not on the curve")
	}
	return public, nil
}

func (k *publicJWK) rsa() (crypto.PublicKey, error) {
	n, errN := decodeMember(k.N)
	e, errE := decodeMember(k.E)
	if errN != nil || errE != nil || len(e) == 0 || len(e) > 4 || len(n) > maxRSABits/8+1 {
		return nil, errors.New("n and e are not those of an RSA key of 4096 bits at most")
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits || public.E < 3 || public.E%2 == 0 {
		return nil, fmt.Errorf("an RSA key has %d to %d bits and an odd exponent of at least 3", minRSABits, maxRSABits)
	}
	return public, nil
}

func decodeMember(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }
