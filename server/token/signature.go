package token

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
)

// wellFormed bounds what is parsed.
func wellFormed(raw string) bool {
	return len(raw) <= maxLength && !strings.ContainsAny(raw, "\r\n") // which encoding/base64 skips, even when strict
}

// decodeClaims reads the claims of a JWT in compact form, without any cryptography.
func decodeClaims(raw string, claims any) error {
	if !wellFormed(raw) || strings.Count(raw, ".") != 2 {
		return fmt.Errorf("longer than %d bytes, or not a compact serialization", maxLength)
	}
	_, rest, _ := strings.Cut(raw, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	return decodeSegment(encoded, claims)
}

// decodeSegment reads JSON in base64url.
func decodeSegment(encoded string, v any) error {
	text, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// header is a JOSE header (RFC 7515 section 4.1). encoding/json takes names in other case for these as well, which is of no use to anybody:
// what is in a header counts only if one of the issuer's keys has signed it.
type header struct {
	Algorithm string          `json:"alg"`
	Type      string          `json:"typ"`
	KeyID     string          `json:"kid"`
	Critical  json.RawMessage `json:"crit"`
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
	return key, jwt.GetSigningMethod(string(key.Algorithm)).Verify(raw[:last], signature, key.Private.Public())
}
