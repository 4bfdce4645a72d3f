package token_test

import (
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

func TestCodeKeepsWhatItWasMadeOf(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 999, time.UTC)
	iss := registrytest.Issuer(t, "https://login.example", now)
	code := token.Code{
		ID: token.NewID(), ClientID: "c", ClientUID: "cu", RedirectURI: "https://c.example/cb?a=<b>&c", Challenge: "ch", User: "u", UserUID: "uu",
		SessionID: "s", CredentialVersion: "v", AuthTime: now.Add(-time.Hour), Scopes: []string{"a", "b"}, Targets: []store.Target{{Resource: "r", Scopes: []string{"c"}}},
		UserinfoClaims: []string{"email"}, IDTokenClaims: []string{"name"}, KeepUntil: now.Add(time.Hour), Nonce: "n",
	}
	sealed, err := code.Seal(iss, now)
	if err != nil {
		t.Fatal(err)
	}
	if !code.ExpiresAt.IsZero() {
		t.Error("Seal changed its receiver")
	}
	got, err := token.OpenCode(iss, sealed)
	if err != nil {
		t.Fatal(err)
	}
	want := code
	want.IssuedAt = now.Truncate(time.Second)
	want.ExpiresAt = want.IssuedAt.Add(time.Minute)
	want.KeepUntil = code.KeepUntil.Truncate(time.Second)
	want.AuthTime = code.AuthTime.Truncate(time.Second)
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	if got.Expired(got.ExpiresAt.Add(-time.Nanosecond)) || !got.Expired(got.ExpiresAt) {
		t.Error("a code expires at ExpiresAt, neither before nor after")
	}
}

// Row: code forged or truncated; a sealed value of another step, or of another issuer.
func TestCodeOpensOnlyWhereItWasMade(t *testing.T) {
	now := time.Now()
	iss := registrytest.Issuer(t, "https://login.example/a", now)
	other := registrytest.Issuer(t, "https://login.example/b", now)
	other.Keys = iss.Keys
	sealed, err := (&token.Code{ID: token.NewID()}).Seal(iss, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.OpenCode(other, sealed); err == nil {
		t.Error("another issuer with the same keys opened it")
	}
	session, err := iss.Keys.Seal(iss.URL, "session", []byte(`{"id":"x"}`), now)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"empty": "", "truncated": sealed[:len(sealed)-1], "extended": sealed + "A", "changed": "B" + sealed[1:], "last byte": sealed[:len(sealed)-2] + "AA",
		"not sealed": `{"id":"x"}`, "session cookie": session,
	} {
		if code, err := token.OpenCode(iss, value); err == nil {
			t.Errorf("%s: opened as %+v", name, code)
		}
	}
}

func TestNewID(t *testing.T) {
	form := regexp.MustCompile(`^[a-z2-7]{32}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := token.NewID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
