package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
)

// header is a JOSE header (RFC 7515 section 4.1).
type header struct {
	Algorithm string         `json:"alg"`
	Type      string         `json:"typ"`
	KeyID     string         `json:"kid"`
	Critical  jsontext.Value `json:"crit"`
}

// signedBy finds the key by `kid` in the issuer's own set, and verifies the signature of a JWT with it, which decodeClaims has read. It refuses one
// whose type is not typ, whose algorithm is not the key's, or that says it can't be understood without an extension (RFC 7515 section
// 4.1.11; Latchkey knows none).
func signedBy(set *keys.Set, raw, typ string) (*keys.SigningKey, error) {
	first, last := strings.IndexByte(raw, '.'), strings.LastIndexByte(raw, '.')
	var h header
	if err := decodeSegment(raw[:first], &h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	key, ok := set.Verifier(h.KeyID)
	switch {
	case h.Type != typ && h.Type != "application/"+typ:
		return nil, fmt.Errorf("typ is not %s", typ)
	case h.Critical != nil:
		return nil, errors.New("crit names an unknown extension")
	case !ok:
		return nil, errors.New("kid names no key of the issuer")
	case h.Algorithm != string(key.Algorithm):
		return nil, errors.New("alg is not the key's")
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(raw[last+1:])
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return key, signingMethod(key.Algorithm).Verify(raw[:last], signature, key.Private.Public())
}

// signingMethod is the library's of the algorithm, nil for one that keys doesn't know. The library's own table has a lock.
func signingMethod(alg keys.Algorithm) jwt.SigningMethod {
	switch alg {
	case keys.ES256:
		return jwt.SigningMethodES256
	case keys.RS256:
		return jwt.SigningMethodRS256
	case keys.PS256:
		return jwt.SigningMethodPS256
	case keys.EdDSA:
		return jwt.SigningMethodEdDSA
	}
	return nil
}
