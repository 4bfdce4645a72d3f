package keys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"time"
)

// What was computed with the keys before stays good: each is an HMAC-SHA-256 of fields with their lengths before them.
func TestKeyedHashesAreWhatTheyWere(t *testing.T) {
	m, _ := rotate(t, nil, schedule(ES256), testNow())
	s := newSet(t, m)
	at := time.Unix(0x0102030405060708, 0)
	lasting := s.ClientDigest("uid", "id", time.Time{}, "secret")
	expiring := s.ClientDigest("uid", "id", at, "secret")
	for name, c := range map[string]struct{ got, key, message []byte }{
		"a client's secret":  {lasting[:], m.Digest, []byte("\x00\x00\x00\x03uid\x00\x00\x00\x02id" + strings.Repeat("\x00", 8) + "\x00\x00\x00\x06secret")},
		"one that expires":   {expiring[:], m.Digest, []byte("\x00\x00\x00\x16expiring client secret\x00\x00\x00\x20" + string(lasting[:]) + "\x01\x02\x03\x04\x05\x06\x07\x08")},
		"a subject":          {decode64(t, s.Subject("local", "alice")), m.Salt, []byte("\x00\x00\x00\x05local\x00\x00\x00\x05alice")},
		"a pairwise subject": {decode64(t, s.PairwiseSubject("x", "y")), m.Salt, []byte("\x00\x00\x00\x08pairwise\x00\x00\x00\x01x\x00\x00\x00\x01y")},
		"a session of it":    {decode64(t, s.PairwiseSessionID("x", "y")), m.Salt, []byte("\x00\x00\x00\x10pairwise session\x00\x00\x00\x01x\x00\x00\x00\x01y")},
		"a refresh token":    {s.RefreshSecret("g", 258), m.Refresh, []byte("\x00\x00\x00\x0drefresh token\x00\x00\x00\x01g\x00\x00\x00\x00\x00\x00\x01\x02")},
		"a user code":        {decodeHex(t, s.UserCodeID("ABCD")), m.Refresh, []byte("\x00\x00\x00\x09user code\x00\x00\x00\x04ABCD")},
	} {
		h := hmac.New(sha256.New, c.key)
		h.Write(c.message)
		if !bytes.Equal(c.got, h.Sum(nil)[:len(c.got)]) {
			t.Errorf("%s: %x", name, c.got)
		}
	}
}

func decode64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 16 {
		t.Fatal(s, err)
	}
	return b
}

func decodeHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) < 16 {
		t.Fatal(s, err)
	}
	return b
}

// One computation leaves nothing behind for the next, whatever their lengths, and those at one time have nothing to do with each other.
func TestKeyedHashesAtOnce(t *testing.T) {
	s := firstSet(t)
	secrets := []string{"", "short", strings.Repeat("long", 300), "another"}
	want := map[string][32]byte{}
	for _, secret := range secrets {
		want[secret] = s.ClientDigest("uid", "id", time.Time{}, secret)
	}
	var workers sync.WaitGroup
	for n := range 4 {
		workers.Go(func() {
			for i := range 200 {
				secret := secrets[(i+n)%len(secrets)]
				if s.ClientDigest("uid", "id", time.Time{}, secret) != want[secret] {
					t.Errorf("%.8q has another digest", secret)
				}
			}
		})
	}
	workers.Wait()
}

func BenchmarkClientDigest(b *testing.B) {
	s := firstSet(b)
	b.ReportAllocs()
	for b.Loop() {
		s.ClientDigest("5f0c0f5e-0000-4000-8000-000000000000", "0123456789abcdef", time.Time{}, "nightly-secret-0123456789abcdef")
	}
}
