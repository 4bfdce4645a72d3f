package clientauth

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

const (
	id     = registrytest.PrintShop
	secret = registrytest.PrintShopSecret
)

func testNow() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }

func basic(clientID, secret string) string {
	joined := url.QueryEscape(clientID) + ":" + url.QueryEscape(secret)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(joined))
}

func encoded(joined string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(joined))
}

func authenticate(iss *registry.Issuer, form url.Values, authorization ...string) (*registry.Client, error) {
	r := httptest.NewRequest(http.MethodPost, "/token", nil)
	r.Header["Authorization"] = authorization
	caller, err := New(Config{}).Authenticate(r, form, iss, testNow())
	return caller.Client, err
}

func TestAuthenticate(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example.com", testNow())
	form := func(kv ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return v
	}
	tests := []struct {
		name          string
		authorization []string
		form          url.Values
		want          string     // client_id
		code          oauth.Code // or error
	}{
		{"client_secret_basic", []string{basic(id, secret)}, nil, id, ""},
		{"client_secret_basic, scheme in other case", []string{strings.Replace(basic(id, secret), "Basic", "bASIC", 1)}, nil, id, ""},
		{"client_secret_basic, the same client_id in the body", []string{basic(id, secret)}, form("client_id", id), id, ""},
		{"client_secret_basic, form-encoded", []string{encoded("demo%2eprint-shop:" + secret)}, nil, id, ""},
		{"client_secret_post", nil, form("client_id", id, "client_secret", secret), id, ""},
		{"none", nil, form("client_id", registrytest.Native), registrytest.Native, ""},

		{"two client authentication methods: basic and post", []string{basic(id, secret)}, form("client_secret", secret), "", oauth.InvalidRequest},
		{"two client authentication methods: basic and assertion", []string{basic(id, secret)}, form("client_assertion", "x"), "", oauth.InvalidRequest},
		{"two client authentication methods: post and assertion", nil,
			form("client_id", id, "client_secret", secret, "client_assertion_type", "x"), "", oauth.InvalidRequest},
		{"two client authentication methods: two headers", []string{basic(id, secret), basic(id, secret)}, nil, "", oauth.InvalidRequest},
		{"another client_id in the body", []string{basic(id, secret)}, form("client_id", registrytest.Native), "", oauth.InvalidRequest},

		{"malformed Basic: not base64", []string{"Basic %%%"}, nil, "", oauth.InvalidClient},
		{"malformed Basic: base64url", []string{"Basic " + base64.RawURLEncoding.EncodeToString([]byte("a:?b>c"))}, nil, "", oauth.InvalidClient},
		{"malformed Basic: nothing", []string{"Basic"}, nil, "", oauth.InvalidClient},
		{"malformed Basic: no colon", []string{encoded(id)}, nil, "", oauth.InvalidClient},
		{"malformed Basic: no client_id", []string{encoded(":" + secret)}, nil, "", oauth.InvalidClient},
		{"malformed Basic: client_id not form-encoded", []string{encoded("%zz:" + secret)}, nil, "", oauth.InvalidClient},
		{"malformed Basic: secret not form-encoded", []string{encoded(id + ":%")}, nil, "", oauth.InvalidClient},
		{"malformed Basic, but a good client in the body", []string{"Basic !"}, form("client_id", registrytest.Native), "", oauth.InvalidClient},
		{"another scheme", []string{"Bearer " + secret}, form("client_id", registrytest.Native), "", oauth.InvalidClient},

		{"nobody", nil, nil, "", oauth.InvalidClient},
		{"secret without client_id", nil, form("client_secret", secret), "", oauth.InvalidClient},
		{"wrong secret", []string{basic(id, secret+"x")}, nil, "", oauth.InvalidClient},
		{"prefix of the secret", []string{basic(id, secret[:len(secret)-1])}, nil, "", oauth.InvalidClient},
		{"empty secret", []string{basic(id, "")}, nil, "", oauth.InvalidClient},
		{"huge secret", []string{basic(id, strings.Repeat("x", 100_000))}, nil, "", oauth.InvalidClient},
		{"unknown client", []string{basic("demo.nobody", secret)}, nil, "", oauth.InvalidClient},
		{"unknown client without a secret", nil, form("client_id", "demo.nobody"), "", oauth.InvalidClient},
		{"confidential client without a secret", nil, form("client_id", id), "", oauth.InvalidClient},
		{"public client with a secret", nil, form("client_id", registrytest.Native, "client_secret", secret), "", oauth.InvalidClient},
		{"assertion", nil, form("client_id", id, "client_assertion", "x"), "", oauth.InvalidClient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client, err := authenticate(iss, test.form, test.authorization...)
			switch {
			case test.code == "" && err != nil:
				t.Fatalf("got %v", err)
			case test.code == "" && client.ID != test.want:
				t.Errorf("got client %q, want %q", client.ID, test.want)
			case test.code != "" && (client != nil || err == nil || oauth.AsError(err).Code != test.code):
				t.Errorf("got %v, %v, want %s", client, err, test.code)
			}
		})
	}
}

// Security: malformed Basic: 401 invalid_client with WWW-Authenticate.
func TestChallenge(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example.com", testNow())
	_, err := authenticate(iss, nil, "Basic !")
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/token", nil)
	r.Header.Set("Authorization", "Basic !")
	if err := oauth.WriteError(w, r, oauth.AsError(err)); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("got %d, WWW-Authenticate %q", w.Code, w.Header().Get("WWW-Authenticate"))
	}
}

// Security: user enumeration, for clients: an unknown client and a wrong secret get the same answer.
func TestSameAnswer(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example.com", testNow())
	var answers []*oauth.Error
	for _, header := range []string{basic(id, "wrong"), basic("demo.nobody", "wrong"), basic(registrytest.Native, "wrong")} {
		_, err := authenticate(iss, nil, header)
		var e *oauth.Error
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		answers = append(answers, e)
	}
	for _, a := range answers[1:] {
		if a.Code != answers[0].Code || a.Description != answers[0].Description {
			t.Errorf("got %v and %v", answers[0], a)
		}
	}
}

func TestSecretRotation(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example.com", testNow())
	declared := func(secretID, secret string, expiresAt time.Time) registry.Secret {
		return registry.Secret{ID: secretID, ExpiresAt: expiresAt, Digest: iss.Keys.ClientDigest(registrytest.PrintShopUID, secretID, expiresAt, secret)}
	}
	c := registrytest.Client(t, iss, id)
	c.Secrets = []registry.Secret{
		declared("expired", "secret-expired", testNow()),
		declared("old", "secret-old", testNow().Add(time.Second)),
		declared("new", "secret-new", time.Time{}),
	}
	iss = registrytest.WithClient(iss, c)
	for secret, want := range map[string]bool{"secret-new": true, "secret-old": true, "secret-expired": false, "secret-never": false} {
		if _, err := authenticate(iss, nil, basic(id, secret)); (err == nil) != want {
			t.Errorf("%s: got %v, want success %v", secret, err, want)
		}
	}
}

// TestSecretsThatDoNotCount: a public client has no secret whatever its status says, and what is too long is not looked at.
func TestSecretsThatDoNotCount(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example.com", testNow())
	for name, test := range map[string]struct {
		public bool
		secret string
		want   bool
	}{
		"confidential":             {false, secret, true},
		"confidential, at bound":   {false, strings.Repeat("s", maxSecretLength), true},
		"confidential, over bound": {false, strings.Repeat("s", maxSecretLength+1), false},
		"public":                   {true, secret, false},
	} {
		c := registrytest.Client(t, iss, id)
		c.Public = test.public
		c.Secrets = []registry.Secret{{ID: "one", Digest: iss.Keys.ClientDigest(c.UID, "one", time.Time{}, test.secret)}}
		if _, err := authenticate(registrytest.WithClient(iss, c), nil, basic(id, test.secret)); (err == nil) != test.want {
			t.Errorf("%s: got %v, want success %v", name, err, test.want)
		}
	}
}

// Security: tenant with every right in its namespace: a digest copied from another client, an expiry extended.
func TestTamperedStatus(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example.com", testNow())
	expiry := testNow().Add(-time.Minute)
	for name, s := range map[string]registry.Secret{
		"digest copied from another client": {ID: "one", Digest: iss.Keys.ClientDigest("uid-of-another", "one", time.Time{}, secret)},
		"expiry extended": {ID: "one", ExpiresAt: testNow().Add(time.Hour),
			Digest: iss.Keys.ClientDigest(registrytest.PrintShopUID, "one", expiry, secret)},
		"expiry removed": {ID: "one", Digest: iss.Keys.ClientDigest(registrytest.PrintShopUID, "one", expiry, secret)},
		"id changed":     {ID: "two", Digest: iss.Keys.ClientDigest(registrytest.PrintShopUID, "one", time.Time{}, secret)},
		"zero digest":    {ID: "one"},
	} {
		c := registrytest.Client(t, iss, id)
		c.Secrets = []registry.Secret{s}
		if _, err := authenticate(registrytest.WithClient(iss, c), nil, basic(id, secret)); err == nil {
			t.Errorf("%s: authenticated", name)
		}
	}
}

// Security: timing: an unknown client costs as many digests as a wrong secret, be there one secret or two.
func TestSameWork(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example.com", testNow())
	two := registrytest.Client(t, iss, id)
	two.Secrets = append(two.Secrets, registry.Secret{ID: "two"})
	expired := registrytest.Client(t, iss, id)
	expired.Secrets = []registry.Secret{{ID: "old", ExpiresAt: testNow()}}
	for name, test := range map[string]struct {
		iss *registry.Issuer
		id  string
	}{
		"unknown client": {iss, "demo.print-shoo"},
		"one secret":     {iss, id},
		"two secrets":    {registrytest.WithClient(iss, two), id},
		"expired secret": {registrytest.WithClient(iss, expired), id},
		"public client":  {iss, registrytest.Native},
	} {
		var computed int
		a := New(Config{})
		a.digest = func(set *keys.Set, uid, id string, expiresAt time.Time, secret string) [sha256.Size]byte {
			computed++
			return set.ClientDigest(uid, id, expiresAt, secret)
		}
		r := httptest.NewRequest(http.MethodPost, "/token", nil)
		r.Header.Set("Authorization", basic(test.id, "wrong-secret"))
		if _, err := a.Authenticate(r, nil, test.iss, testNow()); err == nil {
			t.Errorf("%s: authenticated", name)
		}
		if computed != digests {
			t.Errorf("%s: %d digests were computed, want %d", name, computed, digests)
		}
	}
}
