package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

const (
	sealIssuer  = "https://login.example.com"
	sealPurpose = "code"
)

func seal(t testing.TB, s *Set, plaintext string) string {
	t.Helper()
	sealed, err := s.Seal(sealIssuer, sealPurpose, []byte(plaintext), testNow())
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSeal(t *testing.T) {
	s := firstSet(t)
	for _, plaintext := range []string{"", "x", strings.Repeat("long ", 1000)} {
		sealed := seal(t, s, plaintext)
		if got, err := s.Open(sealIssuer, sealPurpose, sealed); err != nil || string(got) != plaintext {
			t.Errorf("got %q, %v, want %q", got, err, plaintext)
		}
		if again := seal(t, s, plaintext); again == sealed {
			t.Error("two seals of one plaintext are the same")
		}
	}
	if sealed := seal(t, s, "a secret in it"); strings.Contains(sealed, base64.RawURLEncoding.EncodeToString([]byte("secret"))) {
		t.Error("the plaintext can be read")
	}
}

// Security: sealed value of one step at another; forged; truncated.
func TestOpenRefuses(t *testing.T) {
	s := firstSet(t)
	sealed := seal(t, s, "plaintext")
	refused := func(name string, s *Set, issuer, purpose, sealed string) {
		t.Helper()
		if got, err := s.Open(issuer, purpose, sealed); !errors.Is(err, ErrSeal) || got != nil {
			t.Errorf("%s: got %q, %v, want ErrSeal", name, got, err)
		}
	}
	refused("another purpose", s, sealIssuer, "session", sealed)
	refused("no purpose", s, sealIssuer, "", sealed)
	refused("another issuer", s, sealIssuer+"/", sealPurpose, sealed)
	refused("issuer and purpose with bytes moved", s, sealIssuer+"c", "ode", sealed)
	refused("other keys", firstSet(t), sealIssuer, sealPurpose, sealed)
	refused("more behind", s, sealIssuer, sealPurpose, sealed+"AAAA")
	refused("padding", s, sealIssuer, sealPurpose, sealed+"=")
	refused("a line break", s, sealIssuer, sealPurpose, sealed[:5]+"\n"+sealed[5:])
	refused("too long", s, sealIssuer, sealPurpose, strings.Repeat("A", MaxSealedLength+1))
	for i := range len(sealed) {
		refused("truncated", s, sealIssuer, sealPurpose, sealed[:i])
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		forged := bytes.Clone(raw)
		forged[i] ^= 1
		refused("forged", s, sealIssuer, sealPurpose, base64.RawURLEncoding.EncodeToString(forged))
	}
}

// Security: key rotation in mid-flight: what was sealed opens for as long as its key is kept.
func TestSealAcrossRotations(t *testing.T) {
	now := testNow()
	m, _ := rotate(t, nil, schedule(), now)
	old := newSet(t, m)
	m, _ = rotate(t, m, schedule(), now.Add(23*time.Hour))
	active := m.Sealing[1].ActiveAt
	early, err := newSet(t, m).Seal(sealIssuer, sealPurpose, []byte("x"), active.Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Open(sealIssuer, sealPurpose, early); err != nil {
		t.Errorf("a replica that does not know the new key yet: %v", err)
	}
	kept, _ := rotate(t, m, schedule(), active.Add(15*time.Minute))
	if _, err := newSet(t, kept).Open(sealIssuer, sealPurpose, early); err != nil {
		t.Errorf("while the old key is kept: %v", err)
	}
	gone, _ := rotate(t, m, schedule(), active.Add(15*time.Minute+time.Second))
	if _, err := newSet(t, gone).Open(sealIssuer, sealPurpose, early); !errors.Is(err, ErrSeal) {
		t.Errorf("after the old key is gone: %v, want ErrSeal", err)
	}
}

func TestSealWithoutKey(t *testing.T) {
	s := firstSet(t)
	if _, err := s.Seal(sealIssuer, sealPurpose, nil, testNow().Add(-time.Hour)); !errors.Is(err, ErrNoSealer) {
		t.Errorf("before a key is active: %v, want ErrNoSealer", err)
	}
}

func BenchmarkSeal(b *testing.B) {
	s := firstSet(b)
	plaintext := make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Seal(sealIssuer, sealPurpose, plaintext, testNow()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := firstSet(b)
	sealed := seal(b, s, string(make([]byte, 512)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(sealIssuer, sealPurpose, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
