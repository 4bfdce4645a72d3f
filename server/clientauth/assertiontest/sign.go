// Package assertiontest signs client assertions for tests: any header with any claims, so that the server has to refuse what a
// library would not make.
package assertiontest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
)

// Claims are those of a good assertion of the client, with a `jti` of its own.
func Claims(clientID, audience string, now time.Time) map[string]any {
	return map[string]any{
		"iss": clientID, "sub": clientID, "aud": audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
}

// Sign signs the claims with the key. The header's `alg` is the key's, its `kid` the key's too and its `typ` absent, but for what
// changes say; a member that is nil is left out.
func Sign(tb testing.TB, key *keys.SigningKey, changes, claims map[string]any) string {
	tb.Helper()
	header := map[string]any{"alg": string(key.Algorithm), "kid": key.KID}
	for name, value := range changes {
		header[name] = value
	}
	text := segment(tb, header) + "." + segment(tb, claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature(tb, key, text))
}

// SignHMAC signs with HS256 under the secret.
func SignHMAC(tb testing.TB, secret []byte, header, claims map[string]any) string {
	tb.Helper()
	text := segment(tb, header) + "." + segment(tb, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Unsigned is the header and claims with no signature.
func Unsigned(tb testing.TB, header, claims map[string]any) string {
	tb.Helper()
	return segment(tb, header) + "." + segment(tb, claims) + "."
}

func segment(tb testing.TB, members map[string]any) string {
	tb.Helper()
	body := map[string]any{}
	for name, value := range members {
		if value != nil {
			body[name] = value
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func signature(tb testing.TB, key *keys.SigningKey, text string) []byte {
	tb.Helper()
	sum := sha256.Sum256([]byte(text))
	var (
		sig []byte
		err error
	)
	switch private := key.Private.(type) {
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, private, sum[:])
		if signErr != nil {
			tb.Fatal(signErr)
		}
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		if key.Algorithm == keys.PS256 {
			sig, err = rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
		}
	default: // Ed25519 hashes for itself
		sig, err = key.Private.Sign(rand.Reader, []byte(text), crypto.Hash(0))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return sig
}
