package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func TestPeekAudience(t *testing.T) {
	f := newFixture(t)
	payload := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	for name, test := range map[string]struct {
		raw  string
		want []string
	}{
		"a token of ours": {f.sign(t, f.access()), []string{registrytest.Photos, issuerURL}},
		"one":             {payload(`{"aud":"a"}`), []string{"a"}},
		"a list":          {payload(`{"aud":["a","b"]}`), []string{"a", "b"}},
		"another case":    {payload(`{"AUD":"a"}`), nil},
		"twice":           {payload(`{"aud":"a","aud":["b"]}`), nil},
		"none":            {payload(`{}`), nil},
		"a number":        {payload(`{"aud":1}`), nil},
		"too many":        {payload(`{"aud":["` + strings.Repeat(`a","`, 20) + `"]}`), nil},
		"too long":        {payload(`{"aud":"` + strings.Repeat("a", maxLength) + `"}`), nil},
		"no JWT":          {"opaque", nil},
		"no JSON":         {payload("{"), nil},
		"nothing":         {"", nil},
	} {
		if got := PeekAudience(test.raw); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestPeekSubject(t *testing.T) {
	f := newFixture(t)
	payload := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	for name, test := range map[string]struct{ raw, want string }{
		"a token of ours": {f.sign(t, f.access()), f.access().Subject},
		"one":             {payload(`{"sub":"a:b"}`), "a:b"},
		"another case":    {payload(`{"SUB":"a"}`), ""},
		"none":            {payload(`{}`), ""},
		"a list":          {payload(`{"sub":["a"]}`), ""},
		"too long":        {payload(`{"sub":"` + strings.Repeat("a", maxLength) + `"}`), ""},
		"no JWT":          {"opaque", ""},
		"no JSON":         {payload("{"), ""},
	} {
		if got := PeekSubject(test.raw); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestPeekExpiry(t *testing.T) {
	f := newFixture(t)
	payload := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	if got, ok := PeekExpiry(f.sign(t, f.access())); !ok || !got.Equal(f.access().ExpiresAt.Truncate(time.Second)) {
		t.Errorf("a token of ours: %v, %t", got, ok)
	}
	for _, raw := range []string{payload(`{"exp":"1"}`), payload(`{"EXP":1}`), payload(`{"exp":1e300}`), payload(`{}`), payload("{"), "opaque", ""} {
		if got, ok := PeekExpiry(raw); ok {
			t.Errorf("%s: %v", raw, got)
		}
	}
}

func TestPresented(t *testing.T) {
	f := newFixture(t)
	good := f.sign(t, f.access())
	if got, err := Presented(f.iss, good, f.now); err != nil || got.GrantID != f.grant.ID || got.ClientUID != registrytest.PrintShopUID {
		t.Fatalf("got %+v, %v", got, err)
	}
	elsewhere := registrytest.Issuer(t, "https://other.example.com", f.now)
	foreign, err := f.access().Sign(elsewhere.Keys, keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	nobodys := f.access()
	nobodys.Audience = nil
	for name, test := range map[string]struct {
		raw string
		at  time.Time
	}{
		"expired":                        {good, f.now.Add(10 * time.Minute)},
		"another issuer's key":           {foreign, f.now},
		"an ID token":                    {idToken(t, f), f.now},
		"without an audience":            {f.sign(t, nobodys), f.now},
		"a payload that was changed":     {strings.Replace(good, ".", fmt.Sprint(".", "A"), 1), f.now},
		"without a signature":            {good[:strings.LastIndexByte(good, '.')+1], f.now},
		"no JWT":                         {"opaque", f.now},
		"nothing":                        {"", f.now},
		"a line break within":            {good[:20] + "\n" + good[20:], f.now},
		"longer than any, and good else": {good + strings.Repeat("A", maxLength), f.now},
	} {
		if got, err := Presented(f.iss, test.raw, test.at); !errors.Is(err, ErrInactive) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// idToken is a good ID token of Alice's for the print shop.
func idToken(t *testing.T, f *fixture) string {
	t.Helper()
	i := &Identity{Issuer: f.iss.URL, Subject: f.access().Subject, ClientID: registrytest.PrintShop, IssuedAt: f.now, ExpiresAt: f.now.Add(time.Minute), AuthTime: f.now}
	raw, err := i.Sign(f.iss.Keys, keys.RS256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
