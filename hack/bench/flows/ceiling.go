package flows

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Sizes are the lengths of what a server hands out, in characters, so that the ceiling hands out as much.
type Sizes struct {
	Cookie, Code, AccessToken, IDToken int
}

// SizesOf looks at one flow.
func SizesOf(t *Tokens, cookies string) Sizes {
	_, value, _ := strings.Cut(cookies, "=")
	return Sizes{Cookie: len(value), Code: len(t.Code), AccessToken: len(t.AccessToken), IDToken: len(t.IDToken)}
}

// SpendFunc takes the id of a code and says whether it was not spent before.
type SpendFunc func(ctx context.Context, id string) (bool, error)

// Ceiling is the least that a server does in a code flow: Go's HTTP server with the cryptography that Latchkey does, and answers of the
// same length. It opens the session's cookie and seals a code, opens the code, compares the proof key and the client's secret, has the code
// spent, and signs an access token and an ID token with ES256. What is sealed or signed says nothing but who it is: it decides nothing,
// looks nothing up, logs nothing and limits nobody.
type Ceiling struct {
	sizes        Sizes
	site         *Site
	spend        SpendFunc
	sealing, mac []byte
	digest       []byte
	signer       *Signer
	filler       string
}

// NewCeiling makes the handler for a site, whose paths, client and redirect URI it takes.
func NewCeiling(s *Site, sizes Sizes, spend SpendFunc) (*Ceiling, error) {
	signer, err := NewSigner(min(sizes.AccessToken, sizes.IDToken), max(sizes.AccessToken, sizes.IDToken))
	if err != nil {
		return nil, err
	}
	c := &Ceiling{sizes: sizes, site: s, spend: spend, sealing: random(32), mac: random(32), signer: signer}
	c.filler = strings.Repeat("x", max(sizes.Cookie, sizes.Code))
	c.digest = c.secretDigest(s.ClientSecret)
	if plaintextLength(sizes.Code) < idLength+len(challenge) {
		return nil, fmt.Errorf("these are no sizes of a code and tokens: %+v", sizes)
	}
	return c, nil
}

// ServeHTTP implements http.Handler.
func (c *Ceiling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := c.serve(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
}

func (c *Ceiling) serve(w http.ResponseWriter, r *http.Request) error {
	switch {
	case r.URL.Path == c.site.Authorize:
		return c.authorize(w, r)
	case r.URL.Path == c.site.Token && r.Method == http.MethodPost:
		return c.token(w, r)
	}
	return errors.New("there is nothing at this address")
}

// authorize answers with a code; a browser without a cookie is given one first, so that it is signed in like any other.
func (c *Ceiling) authorize(w http.ResponseWriter, r *http.Request) error {
	_, cookie, found := strings.Cut(r.Header.Get("Cookie"), "=")
	if !found {
		sealed, err := c.seal(c.filler[:plaintextLength(c.sizes.Cookie)])
		if err != nil {
			return err
		}
		w.Header().Set("Set-Cookie", "session="+sealed)
	} else if _, err := c.open(cookie); err != nil {
		return err
	}
	query := r.URL.Query()
	content := newID() + query.Get("code_challenge")
	code, err := c.seal(content + c.filler[:plaintextLength(c.sizes.Code)-len(content)])
	if err != nil {
		return err
	}
	w.Header().Set("Location", c.site.RedirectURI+"?code="+code+"&iss=http%3A%2F%2F"+c.site.Host+"&state="+query.Get("state"))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// token answers with tokens.
func (c *Ceiling) token(w http.ResponseWriter, r *http.Request) error {
	id, secret, _ := r.BasicAuth()
	if id != c.site.ClientID || !hmac.Equal(c.secretDigest(secret), c.digest) {
		return errors.New("invalid_client")
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	content, err := c.open(r.PostForm.Get("code"))
	if err != nil {
		return err
	}
	proof := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if content[idLength:idLength+len(challenge)] != base64.RawURLEncoding.EncodeToString(proof[:]) {
		return errors.New("invalid_grant: proof key")
	}
	if first, err := c.spend(r.Context(), content[:idLength]); err != nil || !first {
		return errors.Join(errors.New("invalid_grant: spent"), err)
	}
	access, err := c.signer.Sign(c.sizes.AccessToken)
	if err != nil {
		return err
	}
	identity, err := c.signer.Sign(c.sizes.IDToken)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write([]byte(`{"access_token":"` + access + `","token_type":"Bearer","expires_in":600,"scope":"` + c.site.Scope + `","id_token":"` + identity + `"}`))
	return err
}

func (c *Ceiling) secretDigest(secret string) []byte {
	mac := hmac.New(sha256.New, c.mac)
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

const (
	// saltLength, tagLength and headLength are what a sealed value has beside its content: AES-256-GCM under a key that is derived for it
	// with HKDF from a salt, and 18 bytes for a version and the id of the key.
	saltLength = 32
	tagLength  = 16
	headLength = 18
	// idLength is the length of the id of a code.
	idLength = 32
)

// plaintextLength is how much there is in a sealed value of so many characters.
func plaintextLength(sealed int) int { return sealed*3/4 - headLength - saltLength - tagLength }

func (c *Ceiling) seal(content string) (string, error) {
	out := random(headLength + saltLength)
	aead, nonce, err := c.aead(out[headLength:])
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(out, nonce, []byte(content), nil)), nil
}

func (c *Ceiling) open(sealed string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < headLength+saltLength {
		return "", errors.New("not sealed here")
	}
	aead, nonce, err := c.aead(raw[headLength : headLength+saltLength])
	if err != nil {
		return "", err
	}
	content, err := aead.Open(nil, nonce, raw[headLength+saltLength:], nil)
	return string(content), err
}

func (c *Ceiling) aead(salt []byte) (cipher.AEAD, []byte, error) {
	okm, err := hkdf.Key(sha256.New, c.sealing, salt, "ceiling", 32+12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(okm[:32])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, okm[32:], err
}

func newID() string { return base64.RawURLEncoding.EncodeToString(random(idLength * 3 / 4)) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
