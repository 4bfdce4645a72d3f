package keys

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

func testNow() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }

func schedule(algorithms ...Algorithm) Schedule {
	return Schedule{Algorithms: algorithms, Interval: 24 * time.Hour, PublishAhead: time.Hour, Keep: 15 * time.Minute}
}

func rotate(t testing.TB, m *Material, s Schedule, now time.Time) (*Material, time.Time) {
	t.Helper()
	next, again, err := m.Rotate(s, now)
	if err != nil {
		t.Fatal(err)
	}
	return next, again
}

func newSet(t testing.TB, m *Material) *Set {
	t.Helper()
	s, err := NewSet(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// firstSet is a set with an ES256 key.
func firstSet(t testing.TB) *Set {
	t.Helper()
	m, _ := rotate(t, nil, schedule(ES256), testNow())
	return newSet(t, m)
}

// TestThumbprint is the example of RFC 7638 section 3.1.
func TestThumbprint(t *testing.T) {
	n, err := base64.RawURLEncoding.DecodeString("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	if err != nil {
		t.Fatal(err)
	}
	got, err := thumbprint(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537})
	if err != nil || got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestThumbprintOfUnknownKey(t *testing.T) {
	if _, err := thumbprint("no key"); err == nil {
		t.Error("a string has a thumbprint")
	}
}

// TestJWKS: RFC 7517: public halves only, each with kid, alg and use.
func TestJWKS(t *testing.T) {
	m, _ := rotate(t, nil, schedule(Algorithms()...), testNow())
	s := newSet(t, m)
	var got struct{ Keys []map[string]string }
	if err := json.Unmarshal(s.JWKS(), &got); err != nil {
		t.Fatal(err)
	}
	members := map[string][]string{"EC": {"alg", "crv", "kid", "kty", "use", "x", "y"}, "RSA": {"alg", "e", "kid", "kty", "n", "use"}, "OKP": {"alg", "crv", "kid", "kty", "use", "x"}}
	if len(got.Keys) != len(Algorithms()) {
		t.Fatalf("%d keys, want %d", len(got.Keys), len(Algorithms()))
	}
	for i, k := range got.Keys {
		if k["kid"] != m.Signing[i].KID || k["alg"] != string(m.Signing[i].Algorithm) || k["use"] != "sig" {
			t.Errorf("key %d: %v", i, k)
		}
		for _, name := range members[k["kty"]] {
			if k[name] == "" {
				t.Errorf("key %d has no %s", i, name)
			}
			delete(k, name)
		}
		if len(k) != 0 {
			t.Errorf("key %d tells more than it should: %v", i, k)
		}
	}
	if got := string(newSet(t, &Material{Digest: m.Digest, Refresh: m.Refresh, Salt: m.Salt}).JWKS()); got != `{"keys":[]}` {
		t.Errorf("without keys: %s", got)
	}
}

func TestSignerAndVerifier(t *testing.T) {
	now := testNow()
	m, _ := rotate(t, nil, schedule(ES256), now)
	first := m.Signing[0]
	m, _ = rotate(t, m, schedule(ES256), now.Add(23*time.Hour))
	if len(m.Signing) != 2 {
		t.Fatalf("%d keys, want 2", len(m.Signing))
	}
	second := m.Signing[1]
	s := newSet(t, m)
	for _, test := range []struct {
		at   time.Time
		want string
	}{
		{first.ActiveAt, first.KID},
		{second.ActiveAt.Add(-time.Nanosecond), first.KID},
		{second.ActiveAt, second.KID},
		{second.ActiveAt.Add(1000 * time.Hour), second.KID},
	} {
		if got, err := s.Signer(ES256, test.at); err != nil || got.KID != test.want {
			t.Errorf("at %s: got %v, %v, want %s", test.at, got, err, test.want)
		}
	}
	if _, err := s.Signer(ES256, first.ActiveAt.Add(-time.Nanosecond)); !errors.Is(err, ErrNoSigner) {
		t.Errorf("before the first key is active: %v, want ErrNoSigner", err)
	}
	if _, err := s.Signer(RS256, now); !errors.Is(err, ErrNoSigner) {
		t.Errorf("of another algorithm: %v, want ErrNoSigner", err)
	}
	for _, k := range m.Signing {
		if got, ok := s.Verifier(k.KID); !ok || got != k {
			t.Errorf("Verifier(%q) = %v, %v", k.KID, got, ok)
		}
	}
	for _, kid := range []string{"", "x", first.KID + "=", strings.ToLower(first.KID)} {
		if _, ok := s.Verifier(kid); ok && kid != first.KID {
			t.Errorf("Verifier(%q) finds a key", kid)
		}
	}
}

func TestNewSetRefuses(t *testing.T) {
	m, _ := rotate(t, nil, schedule(ES256), testNow())
	for name, change := range map[string]func(*Material){
		"a kid twice":         func(m *Material) { m.Signing = append(m.Signing, m.Signing[0]) },
		"a short digest key":  func(m *Material) { m.Digest = m.Digest[1:] },
		"no salt":             func(m *Material) { m.Salt = nil },
		"a short sealing key": func(m *Material) { m.Sealing = []*SealingKey{{ID: "x", Key: make([]byte, 16)}} },
	} {
		c := *m
		change(&c)
		if _, err := NewSet(&c); err == nil {
			t.Errorf("a Set with %s", name)
		}
	}
}

// TestClientDigestBinds: every argument changes the digest, and moving bytes from one to the next does too.
func TestClientDigestBinds(t *testing.T) {
	s, other := firstSet(t), firstSet(t)
	at := testNow()
	digests := map[[32]byte]string{}
	for name, d := range map[string][32]byte{
		"plain":          s.ClientDigest("uid", "id", at, "secret"),
		"another set":    other.ClientDigest("uid", "id", at, "secret"),
		"another client": s.ClientDigest("uid2", "id", at, "secret"),
		"another id":     s.ClientDigest("uid", "id2", at, "secret"),
		"another expiry": s.ClientDigest("uid", "id", at.Add(time.Second), "secret"),
		"no expiry":      s.ClientDigest("uid", "id", time.Time{}, "secret"),
		"another secret": s.ClientDigest("uid", "id", at, "Secret"),
		"bytes moved":    s.ClientDigest("uidi", "d", at, "secret"),
		"empty secret":   s.ClientDigest("uid", "id", at, ""),
	} {
		if before, ok := digests[d]; ok {
			t.Errorf("%q and %q have one digest", before, name)
		}
		digests[d] = name
	}
	if s.ClientDigest("uid", "id", at, "secret") != s.ClientDigest("uid", "id", at.In(time.FixedZone("", 3600)).Add(time.Millisecond), "secret") {
		t.Error("the digest depends on the zone or on less than a second")
	}
}

// A secret can be given an expiry by who has the key and its digest, and by nobody else.
func TestExpiringDigestComesOfAGenuineOne(t *testing.T) {
	s, other := firstSet(t), firstSet(t)
	at := testNow()
	lasting, want := s.ClientDigest("uid", "id", time.Time{}, "secret"), s.ClientDigest("uid", "id", at, "secret")
	if s.ExpiringDigest(lasting, at) != want {
		t.Error("the digest of an expiring secret does not follow from that of a lasting one")
	}
	if s.ExpiringDigest([32]byte{}, at) == want || other.ExpiringDigest(lasting, at) == want || s.ExpiringDigest(want, at) == want ||
		s.ExpiringDigest(lasting, at.Add(time.Second)) == want {
		t.Error("it follows from something else")
	}
}

func TestSubject(t *testing.T) {
	m, _ := rotate(t, nil, schedule(ES256), testNow())
	s := newSet(t, m)
	later, _ := rotate(t, m, schedule(ES256), testNow().Add(23*time.Hour))
	if s.Subject("local", "alice") != newSet(t, later).Subject("local", "alice") {
		t.Error("a rotation changes the subject")
	}
	seen := map[string]bool{}
	for _, sub := range []string{s.Subject("local", "alice"), s.Subject("local", "bob"), s.Subject("other", "alice"),
		s.Subject("locala", "lice"), firstSet(t).Subject("local", "alice")} {
		if len(sub) != 43 || seen[sub] {
			t.Errorf("subject %q", sub)
		}
		seen[sub] = true
	}
}
