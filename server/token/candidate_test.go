package token

import (
	"encoding/base64"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
)

// What is not written as a JWT in compact form is none, even if the issuer's own key has signed it.
func TestSignedInAnotherForm(t *testing.T) {
	f := newFixture(t)
	key, err := f.iss.Keys.Signer(keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	header, claims := f.parts(t, keys.ES256)
	for len(segment(t, claims))%4 == 0 { // else there are no bits to spare at its end
		claims["x"] = "x" + claims["jti"].(string)
		claims["jti"] = claims["jti"].(string) + "x"
	}
	head, body := segment(t, header), segment(t, claims)
	for name, text := range map[string]string{
		"as it is":                   head + "." + body,
		"a part too many":            head + "." + body + ".e30",
		"bits beyond the last octet": head + "." + body[:len(body)-1] + string(body[len(body)-1]+1),
	} {
		signature, err := jwt.SigningMethodES256.Sign(text, key.Private)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.active(text + "." + base64.RawURLEncoding.EncodeToString(signature))
		if (err == nil) != (name == "as it is") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token for more parties than any of ours is looked up for none of them.
func TestCandidateForVeryMany(t *testing.T) {
	f := newFixture(t)
	header, claims := f.parts(t, keys.ES256)
	for n, want := range map[int]int{maxAudiences: maxAudiences, maxAudiences + 1: 0} {
		claims["aud"] = make([]string, n)
		c := f.verifier.Seen.Candidate(f.forge(t, keys.ES256, header, claims))
		if got := len(c.Audience()); got != want {
			t.Errorf("%d audiences: %d are looked at, want %d", n, got, want)
		}
	}
}
