package flows

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// Signer makes JWTs that are signed with ES256 and say nothing but a `jti`.
type Signer struct {
	key            *ecdsa.PrivateKey
	header, filler string
}

const (
	// minClaims is the length of the fewest claims, signatureLength that of a signature of ES256 in characters.
	minClaims       = 10 + idLength
	signatureLength = 86
)

// NewSigner makes one with a key of its own, for JWTs between two lengths.
func NewSigner(shortest, longest int) (*Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	header := `{"alg":"ES256","kid":"` + base64.RawURLEncoding.EncodeToString(random(32)) + `","typ":"at+jwt"}`
	s := &Signer{key: key, header: base64.RawURLEncoding.EncodeToString([]byte(header)), filler: strings.Repeat("x", longest)}
	if s.claims(shortest) < minClaims {
		return nil, fmt.Errorf("%d characters are too few for a JWT", shortest)
	}
	return s, nil
}

// claims is how many bytes the claims of a token of so many characters have.
func (s *Signer) claims(token int) int {
	return (token - len(s.header) - len("..") - signatureLength) * 3 / 4
}

// Sign makes a JWT of so many characters, within three.
func (s *Signer) Sign(length int) (string, error) {
	claims := `{"jti":"` + newID() + s.filler[:s.claims(length)-minClaims] + `"}`
	content := s.header + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(content))
	r, t, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	t.FillBytes(signature[32:])
	return content + "." + base64.RawURLEncoding.EncodeToString(signature[:]), nil
}
