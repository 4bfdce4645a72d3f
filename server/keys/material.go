package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

const (
	secretLength = 32
	rsaBits      = 2048
)

// Material is the keys of an issuer as they are stored. Unlike a Set it can be changed.
type Material struct {
	Signing []*SigningKey
	Sealing []*SealingKey
	// Digest is the key of ClientDigest, Refresh that of RefreshSecret, and Salt that of Subject. None of them rotates.
	Digest, Refresh, Salt []byte
}

// stored is the JSON form of Material.
type stored struct {
	Version int             `json:"version"`
	Signing []storedSigning `json:"signing"`
	Sealing []storedSealing `json:"sealing"`
	Digest  []byte          `json:"digestKey"`
	Refresh []byte          `json:"refreshHMACKey"`
	Salt    []byte          `json:"subjectSalt"`
}

type storedSigning struct {
	KID        string     `json:"kid"`
	Algorithm  Algorithm  `json:"algorithm"`
	ActiveAt   time.Time  `json:"activeAt"`
	RetiredAt  *time.Time `json:"retiredAt,omitempty"`
	PrivateKey string     `json:"privateKey"`
}

type storedSealing struct {
	ID        string     `json:"id"`
	ActiveAt  time.Time  `json:"activeAt"`
	RetiredAt *time.Time `json:"retiredAt,omitempty"`
	Key       []byte     `json:"key"`
}

// Marshal writes the stored form.
func (m *Material) Marshal() ([]byte, error) {
	s := stored{Version: 1, Digest: m.Digest, Refresh: m.Refresh, Salt: m.Salt}
	for _, k := range m.Signing {
		der, err := x509.MarshalPKCS8PrivateKey(k.Private)
		if err != nil {
			return nil, fmt.Errorf("keys: marshal %q: %w", k.KID, err)
		}
		s.Signing = append(s.Signing, storedSigning{k.KID, k.Algorithm, k.ActiveAt, optionalTime(k.RetiredAt),
			string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	}
	for _, k := range m.Sealing {
		s.Sealing = append(s.Sealing, storedSealing{k.ID, k.ActiveAt, optionalTime(k.RetiredAt), k.Key})
	}
	return json.Marshal(s)
}

// Unmarshal reads the stored form. Its errors hold nothing of the keys.
func Unmarshal(data []byte) (*Material, error) {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil || s.Version != 1 {
		return nil, errors.New("keys: the stored keys are not of a known form")
	}
	m := &Material{Digest: s.Digest, Refresh: s.Refresh, Salt: s.Salt}
	for _, k := range s.Signing {
		private, err := parsePrivate(k)
		if err != nil {
			return nil, fmt.Errorf("keys: signing key %q: %w", k.KID, err)
		}
		m.Signing = append(m.Signing, &SigningKey{k.KID, k.Algorithm, private, k.ActiveAt, timeOrZero(k.RetiredAt)})
	}
	for _, k := range s.Sealing {
		m.Sealing = append(m.Sealing, &SealingKey{k.ID, k.Key, k.ActiveAt, timeOrZero(k.RetiredAt)})
	}
	return m, nil
}

func parsePrivate(k storedSigning) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(k.PrivateKey))
	if block == nil {
		return nil, errors.New("not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not PKCS #8")
	}
	switch private := parsed.(type) {
	case *ecdsa.PrivateKey:
		if k.Algorithm == ES256 && private.Curve == elliptic.P256() {
			return private, nil
		}
	case *rsa.PrivateKey:
		if k.Algorithm == RS256 || k.Algorithm == PS256 {
			return private, nil
		}
	case ed25519.PrivateKey:
		if k.Algorithm == EdDSA {
			return private, nil
		}
	}
	return nil, fmt.Errorf("not a key for %s", k.Algorithm)
}

// newSigningKey makes a key of the algorithm.
func newSigningKey(alg Algorithm, activeAt time.Time) (*SigningKey, error) {
	var (
		private crypto.Signer
		err     error
	)
	switch alg {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256, PS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("keys: unknown algorithm %q", alg)
	}
	if err != nil {
		return nil, err
	}
	kid, err := thumbprint(private.Public())
	if err != nil {
		return nil, err
	}
	return &SigningKey{KID: kid, Algorithm: alg, Private: private, ActiveAt: activeAt}, nil
}

func newSecret() []byte {
	b := make([]byte, secretLength)
	_, _ = rand.Read(b) // never fails
	return b
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
