package token

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// OpenID Connect Core section 5.3.2.
func TestSignedUserinfoOnTheWire(t *testing.T) {
	f := newFixture(t)
	client := registrytest.Client(t, f.iss, registrytest.PrintShop)
	for _, alg := range keys.Algorithms() {
		client.UserinfoAlgorithm = alg
		raw, err := SignUserinfo(f.iss, client, "sub-1", UserClaims{Name: "Alice Liddell", UpdatedAt: 7}, f.now)
		if err != nil {
			t.Fatal(err)
		}
		header, claims := decode(t, raw)
		want := map[string]any{"iss": issuerURL, "aud": registrytest.PrintShop, "sub": "sub-1", "name": "Alice Liddell", "updated_at": 7.0}
		if header["alg"] != string(alg) || header["typ"] != "JWT" || !reflect.DeepEqual(claims, want) {
			t.Errorf("%s: header %v, claims %v", alg, header, claims)
		}
	}
}

// RFC 9701 section 5.
func TestSignedIntrospectionOnTheWire(t *testing.T) {
	f := newFixture(t)
	raw, err := SignIntrospection(f.iss, "demo.inspector", []byte(`{"active":false}`), f.now)
	if err != nil {
		t.Fatal(err)
	}
	header, claims := decode(t, raw)
	want := map[string]any{
		"iss": issuerURL, "aud": "demo.inspector", "iat": float64(f.now.Unix()), "token_introspection": map[string]any{"active": false},
	}
	if header["alg"] != "RS256" || header["typ"] != "token-introspection+jwt" || !reflect.DeepEqual(claims, want) {
		t.Errorf("header %v, claims %v", header, claims)
	}
	config := *f.iss.Config
	config.Algorithms, config.IDTokenAlgorithm = []keys.Algorithm{keys.ES256}, keys.ES256
	f.iss.Config = &config
	if raw, err = SignIntrospection(f.iss, "demo.inspector", []byte(`{}`), f.now); err != nil {
		t.Fatal(err)
	}
	if header, _ := decode(t, raw); header["alg"] != "ES256" {
		t.Errorf("without RS256: %v", header)
	}
	if _, err := SignIntrospection(f.iss, "x", nil, f.now.Add(-24*time.Hour)); !errors.Is(err, keys.ErrNoSigner) {
		t.Errorf("without a key: %v", err)
	}
	wantInactive(t, f, raw)
}
