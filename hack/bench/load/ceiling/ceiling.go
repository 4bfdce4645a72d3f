// Package ceiling is the least that a server does for each kind of request that package load measures: Go's HTTP server with the cryptography that
// Latchkey does, and answers of the same length. It decides nothing, looks nothing up, logs nothing and limits nobody.
package ceiling

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/flows"
)

// Paths, beside those that Latchkey has.
const (
	StaticPath = "/static"
	SignPath   = "/sign"
)

const (
	// StaticLength is the length of the static answer.
	StaticLength = 700
	// Signatures is how many are made for one request to SignPath.
	Signatures = 20
	rsaBits    = 2048
)

// Sizes are the lengths of Latchkey's answers, and of the token in one of them, in characters.
type Sizes struct {
	AccessToken, Token, Introspection, Review int
}

// Config is what the program is told.
type Config struct {
	Sizes Sizes
	// PublicKey is what tokens are verified with, in DER (PKIX).
	PublicKey []byte
	// Address is that of the listener for HTTP, ReviewAddress that of the one for TLS, which serves with a certificate and asks for one.
	Address, ReviewAddress, CertFile, KeyFile, ClientCAFile string
}

// Ceiling is the handler.
type Ceiling struct {
	signer                *flows.Signer
	rs256                 *rsa.PrivateKey
	public                *ecdsa.PublicKey
	mac, digest           []byte
	sizes                 Sizes
	static, filler        string
	introspection, review string
}

// New makes the handler.
func New(c *Config) (*Ceiling, error) {
	parsed, err := x509.ParsePKIXPublicKey(c.PublicKey)
	if err != nil {
		return nil, err
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T is no key for ES256", parsed)
	}
	signer, err := flows.NewSigner(c.Sizes.AccessToken, c.Sizes.AccessToken)
	if err != nil {
		return nil, err
	}
	rs256, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, err
	}
	s := &Ceiling{signer: signer, rs256: rs256, public: public, mac: []byte(rand.Text()), sizes: c.Sizes, static: strings.Repeat("x", StaticLength)}
	s.digest = s.secretDigest("")
	s.filler = padded("", c.Sizes.Token-c.Sizes.AccessToken-len(`{"access_token":"",}`))
	s.introspection = padded(`{"active":true}`, c.Sizes.Introspection)
	s.review = padded(`{"status":{"authenticated":true}}`, c.Sizes.Review)
	return s, nil
}

// padded is text with as many spaces, which JSON does not mind, as it takes to have a length.
func padded(text string, length int) string {
	return text + strings.Repeat(" ", max(length-len(text), 0))
}

// ServeHTTP implements http.Handler.
func (s *Ceiling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := s.answer(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, answer) // a caller that is gone fails the run
}

func (s *Ceiling) answer(r *http.Request) (string, error) {
	switch r.URL.Path {
	case "/token":
		return s.token(r)
	case "/introspect":
		return s.introspect(r)
	case "/apis/authentication.k8s.io/v1/tokenreviews":
		return s.reviewed(r)
	case SignPath:
		return s.signatures()
	case StaticPath:
		_, err := io.Copy(io.Discard, r.Body)
		return s.static, err
	}
	return "", errors.New("there is nothing at this address")
}

// token authenticates a client and signs.
func (s *Ceiling) token(r *http.Request) (string, error) {
	if err := s.form(r); err != nil {
		return "", err
	}
	token, err := s.signer.Sign(s.sizes.AccessToken)
	return `{"access_token":"` + token + `"` + s.filler + "}", err
}

// introspect authenticates a client and verifies.
func (s *Ceiling) introspect(r *http.Request) (string, error) {
	if err := s.form(r); err != nil {
		return "", err
	}
	return s.introspection, s.verify(r.PostForm.Get("token"))
}

// reviewed reads a TokenReview and verifies.
func (s *Ceiling) reviewed(r *http.Request) (string, error) {
	var review struct {
		Spec struct {
			Token     string
			Audiences []string
		}
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, &review); err != nil {
		return "", err
	}
	return s.review, s.verify(review.Spec.Token)
}

// form reads the form and computes what it takes to compare the client's secret; all of them are welcome.
func (s *Ceiling) form(r *http.Request) error {
	_, secret, found := r.BasicAuth()
	if digest := s.secretDigest(secret); !found || hmac.Equal(digest, s.digest) {
		return errors.New("invalid_client")
	}
	return r.ParseForm()
}

func (s *Ceiling) secretDigest(secret string) []byte {
	mac := hmac.New(sha256.New, s.mac)
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

// verify takes a JWT that has a good signature with ES256 and has not expired.
func (s *Ceiling) verify(token string) error {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return errors.New("no JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(signature) != 64 {
		return errors.New("no signature of ES256")
	}
	sum := sha256.Sum256([]byte(token[:dot]))
	if !ecdsa.Verify(s.public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return errors.New("a bad signature")
	}
	_, payload, _ := strings.Cut(token[:dot], ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return err
	}
	var claims struct {
		Expiry int64 `json:"exp"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return err
	}
	if time.Now().Unix() >= claims.Expiry {
		return errors.New("expired")
	}
	return nil
}

// signatures makes bare signatures with RS256, one after another.
func (s *Ceiling) signatures() (string, error) {
	for range Signatures {
		sum := sha256.Sum256([]byte(s.static))
		if _, err := rsa.SignPKCS1v15(nil, s.rs256, crypto.SHA256, sum[:]); err != nil {
			return "", err
		}
	}
	return s.static, nil
}
