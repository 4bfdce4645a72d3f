package token

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// TestAccessOnTheWire: RFC 9068 section 2.
func TestAccessOnTheWire(t *testing.T) {
	f := newFixture(t)
	a := f.access()
	header, claims := decode(t, f.sign(t, a))
	key, err := f.iss.Keys.Signer(keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": key.KID}; !reflect.DeepEqual(header, want) {
		t.Errorf("header %v, want %v", header, want)
	}
	want := map[string]any{
		"iss": issuerURL, "sub": a.Subject, "aud": []any{registrytest.Photos, issuerURL}, "client_id": registrytest.PrintShop,
		"scope": "openid photos.read", "jti": a.ID, "iat": float64(f.now.Unix()), "exp": float64(f.now.Unix() + 600),
		"auth_time":         float64(f.now.Unix() - 60),
		"oauth.latchkey.io": map[string]any{"grant": f.grant.ID, "client": registrytest.PrintShopUID, "user": registrytest.AliceUID},
	}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("claims %v\nwant %v", claims, want)
	}
}

// TestIdentityOnTheWire: OpenID Connect Core sections 2 and 3.1.3.6. The at_hash was computed with
// printf '%s' <token> | openssl dgst -sha256 -binary | head -c 16 | basenc --base64url.
func TestIdentityOnTheWire(t *testing.T) {
	f := newFixture(t)
	id := &Identity{
		Issuer: f.iss.URL, Subject: "sub", ClientID: registrytest.PrintShop, Nonce: "n-0S6_WzA2Mj",
		AccessToken: "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", SessionID: "sid-1",
		IssuedAt: f.now, ExpiresAt: f.now.Add(time.Minute), AuthTime: f.now.Add(-time.Hour),
		ACR: ACRPassword, AMR: []string{AMRPassword},
		User: UserClaims{Name: "Alice Liddell", PreferredUsername: "alice", Email: "alice@example.com", EmailVerified: true, Groups: []string{"family"}},
	}
	raw, err := id.Sign(f.iss.Keys, keys.RS256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	header, claims := decode(t, raw)
	if header["alg"] != "RS256" || header["typ"] != "JWT" {
		t.Errorf("header %v", header)
	}
	want := map[string]any{
		"iss": issuerURL, "sub": "sub", "aud": registrytest.PrintShop, "nonce": "n-0S6_WzA2Mj", "sid": "sid-1",
		"iat": float64(f.now.Unix()), "exp": float64(f.now.Unix() + 60), "auth_time": float64(f.now.Unix() - 3600),
		"acr": ACRPassword, "amr": []any{"pwd"}, "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
		"name": "Alice Liddell", "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
		"groups": []any{"family"},
	}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("claims %v\nwant %v", claims, want)
	}
}

// OpenID Connect Core section 3.1.3.6: at_hash by the hash of the ID token's own algorithm. That for EdDSA was computed with
// printf '%s' <token> | openssl dgst -sha512 -binary | head -c 32 | basenc --base64url.
func TestAtHashByAlgorithm(t *testing.T) {
	f := newFixture(t)
	const sha256Half, sha512Half = "77QmUPtjPfzWtF2AnpK9RQ", "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM"
	for alg, want := range map[keys.Algorithm]string{keys.ES256: sha256Half, keys.RS256: sha256Half, keys.PS256: sha256Half, keys.EdDSA: sha512Half} {
		id := f.identity()
		id.AccessToken = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
		raw, err := id.Sign(f.iss.Keys, alg, f.now)
		if err != nil {
			t.Fatal(err)
		}
		header, claims := decode(t, raw)
		if header["alg"] != string(alg) || claims["at_hash"] != want {
			t.Errorf("%s: header %v, at_hash %v, want %s", alg, header, claims["at_hash"], want)
		}
	}
}

// Access tokens of every algorithm that the issuer has, or had, are good.
func TestVerifyEveryAlgorithm(t *testing.T) {
	f := newFixture(t)
	config := *f.iss.Config
	config.Algorithms = []keys.Algorithm{keys.ES256} // the others' keys are kept for what they signed
	f.iss.Config = &config
	for _, alg := range keys.Algorithms() {
		raw, err := f.access().Sign(f.iss.Keys, alg, f.now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.active(raw); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// A token carries the sub by which its client knows the user; one with another's is refused (OpenID Connect Core section 8).
func TestPairwiseSubject(t *testing.T) {
	f := newFixture(t)
	plain := f.sign(t, f.access())
	c := registrytest.Client(t, f.iss, registrytest.PrintShop)
	c.Sector = "demo/print.example"
	f.iss = registrytest.WithClient(f.iss, c)
	if _, err := f.active(plain); !errors.Is(err, ErrInactive) {
		t.Errorf("a public subject for a pairwise client: %v", err)
	}
	u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
	a := f.access()
	a.Subject = f.iss.Subject(c, u)
	if _, err := f.active(f.sign(t, a)); err != nil || a.Subject == u.Subject {
		t.Errorf("its own subject: %v", err)
	}
}

func TestSignWithoutSigner(t *testing.T) {
	f := newFixture(t)
	early := f.now.Add(-24 * time.Hour)
	if _, err := f.access().Sign(f.iss.Keys, keys.ES256, early); !errors.Is(err, keys.ErrNoSigner) {
		t.Errorf("access token before the first key is active: %v, want ErrNoSigner", err)
	}
	if _, err := (&Identity{}).Sign(f.iss.Keys, "ES384", f.now); !errors.Is(err, keys.ErrNoSigner) {
		t.Errorf("ID token with an algorithm there is no key for: %v, want ErrNoSigner", err)
	}
}

// Security: key rotation in mid-flight: no valid token is refused, ever.
func TestRotationInMidFlight(t *testing.T) {
	f := newFixture(t)
	schedule := keys.Schedule{Algorithms: []keys.Algorithm{keys.ES256}, Interval: 24 * time.Hour, PublishAhead: time.Hour, Keep: 15 * time.Minute}
	var m *keys.Material
	begin := f.now
	kids := map[any]bool{}
	for f.now.Before(begin.Add(72 * time.Hour)) {
		next, _, err := m.Rotate(schedule, f.now)
		if err != nil {
			t.Fatal(err)
		}
		m = next
		set, err := keys.NewSet(m)
		if err != nil {
			t.Fatal(err)
		}
		f.iss.Keys = set
		a := f.access()
		a.GrantID, a.UserUID, a.Subject = "", "", a.ClientID
		raw := f.sign(t, a)
		header, _ := decode(t, raw)
		kids[header["kid"]] = true
		issued := f.now
		for _, age := range []time.Duration{0, 5 * time.Minute, 10*time.Minute - time.Second} {
			f.now = issued.Add(age)
			if m, _, err = m.Rotate(schedule, f.now); err != nil {
				t.Fatal(err)
			}
			if f.iss.Keys, err = keys.NewSet(m); err != nil {
				t.Fatal(err)
			}
			if _, err := f.active(raw); err != nil {
				t.Fatalf("%s into the rotations, at the age of %s: %v", issued.Sub(begin), age, err)
			}
		}
	}
	if len(kids) < 3 {
		t.Errorf("%d keys were used, want 3 or more", len(kids))
	}
}

func TestNewIDIsAnObjectName(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewID()
		if len(id) != 32 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}

func BenchmarkSign(b *testing.B) {
	f := newFixture(b)
	for _, alg := range keys.Algorithms() {
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			a := f.access()
			for b.Loop() {
				if _, err := a.Sign(f.iss.Keys, alg, f.now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	f := newFixture(b)
	for _, alg := range keys.Algorithms() {
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			raw, err := f.access().Sign(f.iss.Keys, alg, f.now)
			if err != nil {
				b.Fatal(err)
			}
			audiences := slices.Clone(f.access().Audience)
			for b.Loop() {
				if _, err := f.verifier.Active(b.Context(), f.iss, raw, audiences); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
