package token

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// identity is an ID token of Alice's for the print shop.
func (f *fixture) identity() *Identity {
	return &Identity{
		Issuer: f.iss.URL, Subject: "sub-1", ClientID: registrytest.PrintShop, AccessToken: "x", SessionID: "sid-1",
		IssuedAt: f.now, ExpiresAt: f.now.Add(10 * time.Minute), AuthTime: f.now.Add(-time.Minute), ACR: ACRPassword, AMR: []string{AMRPassword},
	}
}

func (f *fixture) signIdentity(t testing.TB, alg keys.Algorithm) string {
	t.Helper()
	raw, err := f.identity().Sign(f.iss.Keys, alg, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestParseHint(t *testing.T) {
	f := newFixture(t)
	for _, alg := range keys.Algorithms() {
		raw := f.signIdentity(t, alg)
		f.now = f.now.Add(365 * 24 * time.Hour) // however long ago it was
		hint, err := ParseHint(f.iss, raw)
		if err != nil || *hint != (Hint{Subject: "sub-1", ClientID: registrytest.PrintShop, SessionID: "sid-1"}) {
			t.Errorf("%s: %+v, %v", alg, hint, err)
		}
		f.now = f.now.Add(-365 * 24 * time.Hour)
	}
}

// Security: token confusion: access token as id_token_hint, and what else is no ID token of the issuer's.
func TestHintConfusion(t *testing.T) {
	f := newFixture(t)
	good := f.signIdentity(t, keys.RS256)
	header, claims := decode(t, good)
	forge := func(change func(header, claims map[string]any)) string {
		h, c := map[string]any{}, map[string]any{}
		for k, v := range header {
			h[k] = v
		}
		for k, v := range claims {
			c[k] = v
		}
		change(h, c)
		return f.forge(t, keys.RS256, h, c)
	}
	if _, err := ParseHint(f.iss, forge(func(_, _ map[string]any) {})); err != nil {
		t.Fatalf("the forgery is not faithful: %v", err)
	}
	client := registrytest.Client(t, f.iss, registrytest.PrintShop)
	client.UserinfoAlgorithm = keys.RS256
	userinfo, err := SignUserinfo(f.iss, client, "sub-1", UserClaims{}, f.now)
	if err != nil {
		t.Fatal(err)
	}
	introspection, err := SignIntrospection(f.iss, registrytest.PrintShop, []byte(`{"active":true}`), f.now)
	if err != nil {
		t.Fatal(err)
	}
	other := *f.iss
	other.Keys = registrytest.Keys(t, f.now)
	foreign, err := f.identity().Sign(other.Keys, keys.RS256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	none := segment(t, map[string]any{"alg": "none", "typ": "JWT", "kid": header["kid"]}) + "." + strings.Split(good, ".")[1] + "."
	for name, raw := range map[string]string{
		"empty":                     "",
		"an access token":           f.sign(t, f.access()),
		"a userinfo response":       userinfo,
		"an introspection response": introspection,
		"another issuer's keys":     foreign,
		"another issuer's":          forge(func(_, c map[string]any) { c["iss"] = f.iss.URL + "/other" }),
		"typ of a logout token":     forge(func(h, _ map[string]any) { h["typ"] = oauth.TypLogoutToken }),
		"typ absent":                forge(func(h, _ map[string]any) { delete(h, "typ") }),
		"no sub":                    forge(func(_, c map[string]any) { delete(c, "sub") }),
		"no aud":                    forge(func(_, c map[string]any) { delete(c, "aud") }),
		"no exp":                    forge(func(_, c map[string]any) { delete(c, "exp") }),
		"no auth_time":              forge(func(_, c map[string]any) { delete(c, "auth_time") }),
		"several aud":               forge(func(_, c map[string]any) { c["aud"] = []string{"a", "b"} }),
		"unknown crit":              forge(func(h, _ map[string]any) { h["crit"] = []string{"exp"} }),
		"kid of another key":        forge(func(h, _ map[string]any) { h["kid"] = "other" }),
		"alg none":                  none,
		"changed":                   good[:len(good)-8] + "AAAAAAAA",
		"longer than is read":       good + strings.Repeat("A", maxLength),
		"a line break":              good[:20] + "\n" + good[20:],
	} {
		if hint, err := ParseHint(f.iss, raw); !errors.Is(err, ErrHint) {
			t.Errorf("%s: %+v, %v, want ErrHint", name, hint, err)
		}
	}
}
