package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/token"
)

// public are the client's own keys as it declares them.
func (w *walk) public() *keys.PublicSet {
	w.t.Helper()
	set, err := keys.ParsePublicSet(w.own.JWKS())
	if err != nil {
		w.t.Fatal(err)
	}
	return set
}

// assertion authenticates with private_key_jwt (RFC 7523). The JWT is made by hand: nothing of the server's own takes part.
func (w *walk) assertion(alg keys.Algorithm) authenticate {
	return func(_ *http.Request, form url.Values) {
		w.t.Helper()
		key, err := w.own.Signer(alg.Canonical(), w.Clock.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		now := w.Clock.Now().Unix()
		text := segment(w.t, map[string]any{"alg": alg, "kid": key.KID}) + "." + segment(w.t, map[string]any{
			"iss": registrytest.PrintShop, "sub": registrytest.PrintShop, "aud": w.issuer, "jti": token.NewID(), "iat": now, "exp": now + 60,
		})
		form.Set("client_id", registrytest.PrintShop)
		form.Set("client_assertion_type", oauth.AssertionTypeJWTBearer)
		form.Set("client_assertion", text+"."+base64.RawURLEncoding.EncodeToString(signature(w.t, key, text)))
	}
}

func segment(t *testing.T, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(body)
}

// signature is RFC 7518 section 3, and RFC 8037.
func signature(t *testing.T, key *keys.SigningKey, text string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	var (
		sig []byte
		err error
	)
	switch private := key.Private.(type) {
	case ed25519.PrivateKey:
		sig = ed25519.Sign(private, []byte(text))
	case *ecdsa.PrivateKey:
		r, s, failure := ecdsa.Sign(rand.Reader, private, sum[:])
		if err = failure; err == nil {
			sig = make([]byte, 64)
			r.FillBytes(sig[:32])
			s.FillBytes(sig[32:])
		}
	case *rsa.PrivateKey:
		if key.Algorithm == keys.PS256 {
			sig, err = rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
		}
	default:
		err = fmt.Errorf("a key of type %T", private)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// published says whether the JWKS has a key with the kid and algorithm of a token.
func (w *walk) published(header map[string]any) bool {
	w.t.Helper()
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(w.ask(http.MethodGet, w.path+"/jwks", "").body), &set); err != nil {
		w.t.Fatal(err)
	}
	return slices.ContainsFunc(set.Keys, func(k map[string]any) bool { return k["kid"] == header["kid"] && k["alg"] == header["alg"] })
}
