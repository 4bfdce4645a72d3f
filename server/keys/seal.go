package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A sealed value is base64url(version ‖ length of key id ‖ key id ‖ salt ‖ AES-256-GCM ciphertext). The AES key and nonce are derived
// from the sealing key with HKDF and the message's own salt, so that no number of messages wears a key out.
const (
	sealVersion = 1
	saltLength  = 32
	// MaxSealedLength bounds what Open looks at, in characters.
	MaxSealedLength = 8192
)

// ErrSeal is returned for every sealed value that can't be opened: forged, truncated, made for another purpose or issuer,
// or sealed with a key that is gone. It doesn't tell which.
var ErrSeal = errors.New("keys: not a sealed value for this purpose")

// ErrNoSealer is returned when no sealing key is active.
var ErrNoSealer = errors.New("keys: no active sealing key")

// Seal encrypts and authenticates plaintext. Only Open with the same issuer and purpose gives it back.
func (s *Set) Seal(issuer, purpose string, plaintext []byte, now time.Time) (string, error) {
	key, err := s.sealer(now)
	if err != nil {
		return "", err
	}
	header := make([]byte, 2, 2+len(key.ID)+saltLength+len(plaintext)+16)
	header[0], header[1] = sealVersion, byte(len(key.ID))
	header = append(header, key.ID...)
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	header = append(header, salt...)
	aead, nonce, err := deriveAEAD(key.Key, salt)
	if err != nil {
		return "", err
	}
	sealed := aead.Seal(header, nonce, plaintext, additionalData(issuer, purpose, key.ID))
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open returns the plaintext of a value that Seal made for the same issuer and purpose, or ErrSeal.
func (s *Set) Open(issuer, purpose, sealed string) ([]byte, error) {
	if len(sealed) > MaxSealedLength || strings.ContainsAny(sealed, "\r\n") { // encoding/base64 skips line breaks
		return nil, ErrSeal
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(raw) < 2 || raw[0] != sealVersion {
		return nil, ErrSeal
	}
	rest := raw[2:]
	idLength := int(raw[1])
	if len(rest) < idLength+saltLength {
		return nil, ErrSeal
	}
	id, salt, ciphertext := string(rest[:idLength]), rest[idLength:idLength+saltLength], rest[idLength+saltLength:]
	for _, k := range s.sealing {
		if k.ID != id {
			continue
		}
		aead, nonce, err := deriveAEAD(k.Key, salt)
		if err != nil {
			return nil, err
		}
		plaintext, err := aead.Open(nil, nonce, ciphertext, additionalData(issuer, purpose, id))
		if err != nil {
			return nil, ErrSeal
		}
		return plaintext, nil
	}
	return nil, ErrSeal
}

func (s *Set) sealer(now time.Time) (*SealingKey, error) {
	var best *SealingKey
	for _, k := range s.sealing {
		if k.active(now) && (best == nil || k.ActiveAt.After(best.ActiveAt)) {
			best = k
		}
	}
	if best == nil {
		return nil, ErrNoSealer
	}
	return best, nil
}

// deriveAEAD derives a message's own key and nonce (RFC 5869).
func deriveAEAD(key, salt []byte) (cipher.AEAD, []byte, error) {
	okm, err := hkdf.Key(sha256.New, key, salt, "latchkey seal v1", 32+12)
	if err != nil {
		return nil, nil, fmt.Errorf("keys: derive: %w", err)
	}
	block, err := aes.NewCipher(okm[:32])
	if err != nil {
		return nil, nil, fmt.Errorf("keys: derive: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	return aead, okm[32:], err
}

// additionalData binds a sealed value to the issuer, the step it was made for, and the key.
func additionalData(issuer, purpose, keyID string) []byte {
	var b []byte
	for _, f := range []string{issuer, purpose, keyID} {
		b = appendField(b, f)
	}
	return b
}
