// Package token mints and verifies what the server hands out: access tokens (RFC 9068), ID tokens (OpenID Connect Core
// section 2) and authorization codes. It is the only importer of golang-jwt, and does itself what that library leaves to
// its caller: `typ`, `crit`, the choice of the key, and a bound on the size.
package token

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
)

const (
	// maxLength bounds the tokens that are looked at, in bytes.
	maxLength = 8 << 10
	// maxClaims bounds the claims of the access tokens that are minted, so that with header and signature they stay below it in base64.
	maxClaims = (maxLength - 1<<10) / 4 * 3
	// leeway is how far ahead the clock of the replica that issued a token may be: `iat` and `nbf` are believed when they
	// lie no more than this in the future. `exp` has no leeway: a token is never good for longer than its client was told.
	leeway = 5 * time.Second
	// maxLag is how far one replica may be behind another with what it knows of clients and users.
	maxLag = 30 * time.Second
)

// sign signs claims, a JSON object, with the key of the algorithm that is in use at the time now. keys.ErrNoSigner when there is none. What
// is signed is put together here (RFC 7515 section 7.1), because the library would make a map of the header and find out anew how to write it.
func sign(set *keys.Set, alg keys.Algorithm, now time.Time, typ string, claims []byte) (string, error) {
	key, err := set.Signer(alg, now)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	header, method := set.Header(key, typ), signingMethod(key.Algorithm)
	if header == "" || method == nil {
		return "", fmt.Errorf("token: no signing method %s, or no type %s", key.Algorithm, typ)
	}
	encoding := base64.RawURLEncoding
	var text strings.Builder
	text.Grow(len(header) + encoding.EncodedLen(len(claims)) + encoding.EncodedLen(signatureLength(key.Private)) + len(".."))
	text.WriteString(header)
	writeSegment(&text, claims)
	signature, err := method.Sign(text.String(), key.Private)
	if err != nil {
		return "", fmt.Errorf("token: sign with %s: %w", key.Algorithm, err)
	}
	writeSegment(&text, signature)
	return text.String(), nil
}

// writeSegment adds one more segment to a JWT.
func writeSegment(to *strings.Builder, segment []byte) {
	b := scratch.Get().(*[]byte)
	*b = base64.RawURLEncoding.AppendEncode(append((*b)[:0], '.'), segment)
	to.Write(*b)
	scratch.Put(b)
}

// scratch is room for the text of a token, for as long as a function takes.
var scratch = sync.Pool{New: func() any {
	b := make([]byte, 0, maxSeenLength)
	return &b
}}

// digestOf is the SHA-256 of a token, which need not be allocated once more for it.
func digestOf(raw string) digest {
	b := scratch.Get().(*[]byte)
	defer scratch.Put(b)
	*b = append((*b)[:0], raw...)
	return sha256.Sum256(*b)
}

// signatureLength is that of the key's signatures, in bytes (RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1).
func signatureLength(key crypto.Signer) int {
	if key, ok := key.(*rsa.PrivateKey); ok {
		return key.Size()
	}
	return 64 // two numbers of P-256, or Ed25519
}

// signAny signs what encoding/json makes of the claims.
func signAny(set *keys.Set, alg keys.Algorithm, now time.Time, typ string, claims any) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("token: claims: %w", err)
	}
	return sign(set, alg, now, typ, text)
}
