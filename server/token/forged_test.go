package token

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func segmentRaw(body string) string { return base64.RawURLEncoding.EncodeToString([]byte(body)) }

func wantInactive(t *testing.T, f *fixture, raw string) {
	t.Helper()
	if a, err := f.active(raw, registrytest.Photos, f.iss.URL, registrytest.PrintShop); !errors.Is(err, ErrInactive) {
		t.Errorf("got %+v, %v, want ErrInactive", a, err)
	}
}

// TestForgeIsFaithful: an unchanged forgery is taken, so that the tests below refuse for the reason they name.
func TestForgeIsFaithful(t *testing.T) {
	f := newFixture(t)
	for _, typ := range []string{"at+jwt", "application/at+jwt"} {
		header, claims := f.parts(t, keys.ES256)
		header["typ"] = typ
		if _, err := f.active(f.forge(t, keys.ES256, header, claims)); err != nil {
			t.Errorf("typ %s: %v", typ, err)
		}
	}
}

// Security: token confusion; unknown crit; embedded keys; kid injection.
func TestForgedHeader(t *testing.T) {
	f := newFixture(t)
	other := registrytest.Keys(t, f.now)
	foreign, err := other.Signer(keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := f.iss.Keys.Signer(keys.RS256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(header map[string]any){
		"typ of an ID token":          func(h map[string]any) { h["typ"] = oauth.TypJWT },
		"typ absent":                  func(h map[string]any) { delete(h, "typ") },
		"typ in other case":           func(h map[string]any) { h["typ"] = "AT+JWT" },
		"typ with a parameter":        func(h map[string]any) { h["typ"] = "at+jwt; v=1" },
		"typ no string":               func(h map[string]any) { h["typ"] = []string{"at+jwt"} },
		"typ of a logout token":       func(h map[string]any) { h["typ"] = "logout+jwt" },
		"unknown crit":                func(h map[string]any) { h["crit"], h["exp"] = []string{"exp"}, 1 },
		"crit b64":                    func(h map[string]any) { h["crit"], h["b64"] = []string{"b64"}, false },
		"crit empty":                  func(h map[string]any) { h["crit"] = []string{} },
		"crit null":                   func(h map[string]any) { h["crit"] = nil },
		"kid injection: absent":       func(h map[string]any) { delete(h, "kid") },
		"kid injection: empty":        func(h map[string]any) { h["kid"] = "" },
		"kid injection: path":         func(h map[string]any) { h["kid"] = "../../../../dev/null" },
		"kid injection: SQL":          func(h map[string]any) { h["kid"] = "x' UNION SELECT 'key" },
		"kid injection: huge":         func(h map[string]any) { h["kid"] = strings.Repeat("k", 5000) },
		"kid injection: beyond bound": func(h map[string]any) { h["kid"] = strings.Repeat("k", maxLength) },
		"kid injection: no string":    func(h map[string]any) { h["kid"] = map[string]any{"kid": h["kid"]} },
		"kid injection: another key":  func(h map[string]any) { h["kid"] = rsaKey.KID },
		"kid injection: another set":  func(h map[string]any) { h["kid"] = foreign.KID },
		"alg absent":                  func(h map[string]any) { delete(h, "alg") },
		"alg of another key":          func(h map[string]any) { h["alg"] = "RS256" },
		"alg ES384":                   func(h map[string]any) { h["alg"] = "ES384" },
		"alg in other case":           func(h map[string]any) { h["alg"] = "es256" },
	} {
		t.Run(name, func(t *testing.T) {
			header, claims := f.parts(t, keys.ES256)
			change(header)
			wantInactive(t, f, f.forge(t, keys.ES256, header, claims))
		})
	}
}

// Security: the key that a token brings along is not a key.
func TestEmbeddedKey(t *testing.T) {
	f := newFixture(t)
	own := registrytest.Keys(t, f.now)
	key, err := own.Signer(keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	issuers, err := f.iss.Keys.Signer(keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	for name, kid := range map[string]string{"own kid": key.KID, "the issuer's kid": issuers.KID} {
		header, claims := f.parts(t, keys.ES256)
		header["kid"], header["jwk"], header["jku"] = kid, jwtKey(own), "https://attacker.example/jwks"
		text := segment(t, header) + "." + segment(t, claims)
		sig, err := jwt.SigningMethodES256.Sign(text, key.Private)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { wantInactive(t, f, text+"."+base64.RawURLEncoding.EncodeToString(sig)) })
	}
}

func jwtKey(set *keys.Set) string { return string(set.JWKS()) }

// Security: alg none, and HS256 with the public key.
func TestAlgorithmConfusion(t *testing.T) {
	f := newFixture(t)
	for _, alg := range []keys.Algorithm{keys.ES256, keys.RS256} {
		header, claims := f.parts(t, alg)
		for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
			header["alg"] = none
			text := segment(t, header) + "." + segment(t, claims)
			t.Run("none "+none, func(t *testing.T) {
				wantInactive(t, f, text+".")
				wantInactive(t, f, text+".AA")
				wantInactive(t, f, text)
			})
		}
		key, ok := f.iss.Keys.Verifier(header["kid"].(string))
		if !ok {
			t.Fatal("no key")
		}
		der, err := x509.MarshalPKIXPublicKey(key.Private.Public())
		if err != nil {
			t.Fatal(err)
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		for name, secret := range map[string][]byte{"DER": der, "PEM": block, "trimmed PEM": block[:len(block)-1], "empty": {}} {
			header["alg"] = "HS256"
			text := segment(t, header) + "." + segment(t, claims)
			sig, err := jwt.SigningMethodHS256.Sign(text, secret)
			if err != nil {
				t.Fatal(err)
			}
			t.Run("HS256 "+name, func(t *testing.T) { wantInactive(t, f, text+"."+base64.RawURLEncoding.EncodeToString(sig)) })
		}
	}
}

func TestForgedClaims(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(claims map[string]any){
		"iss of another issuer": func(c map[string]any) { c["iss"] = "https://login.example.com/other" },
		"iss with a slash":      func(c map[string]any) { c["iss"] = issuerURL + "/" },
		"iss absent":            func(c map[string]any) { delete(c, "iss") },
		"exp absent":            func(c map[string]any) { delete(c, "exp") },
		"exp null":              func(c map[string]any) { c["exp"] = nil },
		"exp a word":            func(c map[string]any) { c["exp"] = "never" },
		"exp in the past":       func(c map[string]any) { c["exp"] = f.now.Add(-time.Second).Unix() },
		"nbf in the future":     func(c map[string]any) { c["nbf"] = f.now.Add(time.Minute).Unix() },
		"aud absent":            func(c map[string]any) { delete(c, "aud") },
		"aud of numbers":        func(c map[string]any) { c["aud"] = []any{1, 2} },
		"aud an object":         func(c map[string]any) { c["aud"] = map[string]any{registrytest.Photos: true} },
		"no client UID":         func(c map[string]any) { delete(c, "oauth.latchkey.io") },
		"no client_id":          func(c map[string]any) { delete(c, "client_id") },
		"no sub":                func(c map[string]any) { delete(c, "sub") },
	} {
		t.Run(name, func(t *testing.T) {
			header, claims := f.parts(t, keys.ES256)
			change(claims)
			wantInactive(t, f, f.forge(t, keys.ES256, header, claims))
		})
	}
}

func TestForgedSerialization(t *testing.T) {
	f := newFixture(t)
	good := f.sign(t, f.access())
	parts := strings.Split(good, ".")
	last := len(good) - 1
	for name, raw := range map[string]string{
		"empty":                  "",
		"no signature":           parts[0] + "." + parts[1] + ".",
		"two parts":              parts[0] + "." + parts[1],
		"four parts":             good + ".",
		"truncated":              good[:last],
		"padded":                 good + "=",
		"line break":             parts[0] + "." + parts[1] + "." + parts[2][:10] + "\r\n" + parts[2][10:],
		"leading blank":          " " + good,
		"other trailing bits":    good[:last] + otherTrailingBits(good[last]),
		"claims changed":         parts[0] + "." + segmentRaw(`{"iss":"https://login.example.com"}`) + "." + parts[2],
		"signature of another":   parts[0] + "." + parts[1] + "." + strings.Split(f.sign(t, f.access()), ".")[2],
		"signature of zeros":     parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"header not JSON":        segmentRaw("x") + "." + parts[1] + "." + parts[2],
		"header null":            segmentRaw("null") + "." + parts[1] + "." + parts[2],
		"JWE":                    "e30.e30.e30.e30.e30",
		"longer than is read":    good + strings.Repeat("A", maxLength),
		"only separators":        "..",
		"a sealed value":         mustSeal(t, f),
		"base64 standard, not U": strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+",
	} {
		t.Run(name, func(t *testing.T) { wantInactive(t, f, raw) })
	}
}

// otherTrailingBits is another last character for the same bytes: the last of 86 carries 4 bits that mean nothing.
func otherTrailingBits(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)|1])
}

func mustSeal(t *testing.T, f *fixture) string {
	t.Helper()
	sealed, err := (&Code{ID: NewID()}).Seal(f.iss, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// Security: token confusion: an ID token as access token, and issuer A's token at issuer B.
func TestTokenConfusion(t *testing.T) {
	f := newFixture(t)
	u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
	id := &Identity{Issuer: f.iss.URL, Subject: u.Subject, ClientID: registrytest.PrintShop, AccessToken: "x",
		IssuedAt: f.now, ExpiresAt: f.now.Add(time.Minute), AuthTime: f.now}
	for _, alg := range []keys.Algorithm{keys.ES256, keys.RS256} {
		raw, err := id.Sign(f.iss.Keys, alg, f.now)
		if err != nil {
			t.Fatal(err)
		}
		wantInactive(t, f, raw)
	}

	t.Run("at another issuer with the same keys", func(t *testing.T) {
		other := *f.iss
		config := *f.iss.Config
		config.URL, config.Path = issuerURL+"/b", "/b"
		other.Config = &config
		raw := f.sign(t, f.access())
		if _, err := f.verifier.Active(t.Context(), &other, raw, []string{registrytest.Photos}); !errors.Is(err, ErrInactive) {
			t.Errorf("got %v, want ErrInactive", err)
		}
	})
	t.Run("of another issuer with the same URL", func(t *testing.T) {
		other := *f.iss
		other.Keys = registrytest.Keys(t, f.now)
		raw := f.sign(t, f.access())
		if _, err := f.verifier.Active(t.Context(), &other, raw, []string{registrytest.Photos}); !errors.Is(err, ErrInactive) {
			t.Errorf("got %v, want ErrInactive", err)
		}
	})
}
