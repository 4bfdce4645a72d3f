package password

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func bcryptOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestVerify(t *testing.T) {
	long := strings.Repeat("x", 72)
	tests := map[string]struct {
		hash, password string
		want           bool
	}{
		"argon2id, right":                         {hashOf(t, "wonderland"), "wonderland", true},
		"argon2id, wrong":                         {hashOf(t, "wonderland"), "Wonderland", false},
		"argon2id, empty":                         {hashOf(t, "wonderland"), "", false},
		"argon2id of another parallelism":         {"$argon2id$v=19$m=64,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$" + strings.Repeat("A", 43), "x", false},
		"bcrypt, right":                           {bcryptOf(t, "wonderland"), "wonderland", true},
		"bcrypt, wrong":                           {bcryptOf(t, "wonderland"), "wonderlan", false},
		"bcrypt as htpasswd writes it":            {strings.Replace(bcryptOf(t, "wonderland"), "$2a$", "$2y$", 1), "wonderland", true},
		"bcrypt, 72 bytes":                        {bcryptOf(t, long), long, true},
		"bcrypt, 73 bytes that begin with the 72": {bcryptOf(t, long), long + "y", false},
		"composed and decomposed":                 {hashOf(t, "caf\u00e9"), "cafe\u0301", true},
		"an unusual space":                        {hashOf(t, "down the rabbit"), "down\u00a0the rabbit", true},
		"control characters as they are":          {bcryptOf(t, "a\x01b"), "a\x01b", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ok, err := NewVerifier().Verify(t.Context(), "alice", test.hash, test.password)
			if err != nil || ok != test.want {
				t.Fatalf("Verify: %v, %v; want %v", ok, err, test.want)
			}
		})
	}
}

// The hash was generated with the command of the reference implementation (vector of golang.org/x/crypto/argon2).
func TestVerifyTakesHashesOfTheReferenceImplementation(t *testing.T) {
	const hash = "$argon2id$v=19$m=64,t=2,p=2$c29tZXNhbHQ$NQrDciL0Nsy1wJcvHr079rlYvyBxhBNi"
	if ok, err := NewVerifier().Verify(t.Context(), "alice", hash, "password"); err != nil || !ok {
		t.Fatalf("Verify: %v, %v", ok, err)
	}
}

func TestVerifyRefusesHashesThatAreNone(t *testing.T) {
	const salt, key = "c29tZXNhbHRzb21lc2FsdA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	tests := map[string]struct{ hash, reason string }{
		"plain text":          {"wonderland", "PHC string"},
		"argon2i":             {"$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key, "argon2id"},
		"an old version":      {"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key, "version 19"},
		"too much memory":     {"$argon2id$v=19$m=262145,t=1,p=1$" + salt + "$" + key, "memory m (in KiB) must be at most 262144"},
		"endless":             {"$argon2id$v=19$m=64,t=17,p=1$" + salt + "$" + key, "time t must be at most 16"},
		"parallelism":         {"$argon2id$v=19$m=64,t=1,p=17$" + salt + "$" + key, "parallelism p must be at most 16"},
		"parallelism wraps":   {"$argon2id$v=19$m=64,t=1,p=257$" + salt + "$" + key, "parallelism"},
		"no passes":           {"$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key, "PHC string"},
		"no threads":          {"$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key, "PHC string"},
		"huge number":         {"$argon2id$v=19$m=9999999999,t=1,p=1$" + salt + "$" + key, "memory"},
		"empty key":           {"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$", "PHC string"},
		"short key":           {"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$AAAA", "PHC string"},
		"not base64":          {"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key[:42] + "B", "base64"},
		"something after it":  {"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "\n", "PHC string"},
		"bcrypt, endless":     {"$2a$31$" + strings.Repeat("a", 53), "cost of bcrypt must be 4 to 15"},
		"bcrypt, cost 3":      {"$2a$03$" + strings.Repeat("a", 53), "cost of bcrypt"},
		"bcrypt of PHP's bug": {"$2x$10$" + strings.Repeat("a", 53), "PHC string"},
		"bcrypt, cut off":     {"$2a$10$" + strings.Repeat("a", 52), "PHC string"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ok, err := NewVerifier().Verify(t.Context(), "alice", test.hash, "")
			var refused *UnusableHashError
			if ok || !errors.As(err, &refused) || !strings.Contains(err.Error(), test.reason) {
				t.Fatalf("Verify: %v, %v; want refusal that says %q", ok, err, test.reason)
			}
			if strings.Contains(err.Error(), key) {
				t.Errorf("the error tells the hash: %v", err)
			}
		})
	}
}

func TestHash(t *testing.T) {
	if a, b := hashOf(t, "wonderland"), hashOf(t, "wonderland"); a == b || !strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hashes %s and %s", a, b)
	}
	for name, password := range map[string]string{"empty": "", "long": strings.Repeat("x", MaxLength+1), "not UTF-8": "\xff"} {
		if hash, err := Hash(password); err == nil {
			t.Errorf("%s: %s", name, hash)
		}
	}
}

func TestVerifyHonoursTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newVerifier(1).Verify(ctx, "alice", hashOf(t, "x"), "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify: %v", err)
	}
}
