package clientauth

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/clientauth/assertiontest"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// Whatever stands in the header: a client comes of its own id and secret, and all else is an error that a client can be told.
func FuzzBasicHeader(f *testing.F) {
	iss := registrytest.Issuer(f, "https://login.example.com", testNow())
	for _, header := range []string{basic(id, secret), basic(id, ""), encoded(id), encoded("%zz:x"), encoded(":"), "Basic", "Basic ====", "Bearer x", ""} {
		f.Add(header, "")
	}
	f.Add(basic(id, secret), "client_id="+registrytest.Native)
	f.Fuzz(func(t *testing.T, header, body string) {
		form, err := oauth.ParseQuery(body)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/token", nil)
		r.Header.Set("Authorization", header)
		caller, err := New(Config{}).Authenticate(r, form, iss, testNow())
		c := caller.Client
		if err != nil {
			if code := oauth.AsError(err).Code; c != nil || (code != oauth.InvalidClient && code != oauth.InvalidRequest) {
				t.Fatalf("%v, %v", c, err)
			}
			return
		}
		_, encoded, _ := strings.Cut(header, " ")
		joined, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		rawID, rawSecret, _ := strings.Cut(string(joined), ":")
		gotID, _ := url.QueryUnescape(rawID)
		if got, _ := url.QueryUnescape(rawSecret); c.ID != gotID || got != secret {
			t.Fatalf("%q is taken for %s", header, c.ID)
		}
	})
}

// Whatever stands in the assertion: a client comes of what its own key signed, once, and all else is one and the same error.
func FuzzClientAssertion(f *testing.F) {
	a := newAsserting(f)
	good := a.sign(nil, func(c map[string]any) { c["jti"] = "one" })
	f.Add(good)
	for _, alg := range keys.Algorithms() {
		f.Add(assertiontest.Sign(f, a.key(alg), map[string]any{"typ": "JWT"}, a.claims()))
	}
	for _, header := range []map[string]any{
		{"crit": []string{"exp"}}, {"jwk": map[string]any{"kty": "EC"}}, {"jku": "https://attacker.example"}, {"x5u": "x"}, {"kid": ""}, {"kid": "../x"},
		{"alg": "none"}, {"alg": "HS256"}, {"typ": "at+jwt"}, {"kid": nil},
	} {
		f.Add(a.sign(header, nil))
	}
	for _, change := range []map[string]any{{"exp": 1e300}, {"exp": "x"}, {"aud": []any{1}}, {"aud": map[string]any{}}, {"jti": 1}, {"iat": -1e18}, {"sub": nil}} {
		f.Add(a.sign(nil, func(c map[string]any) {
			for name, value := range change {
				c[name] = value
			}
		}))
	}
	f.Add(assertiontest.Unsigned(f, map[string]any{"alg": "none"}, a.claims()))
	f.Add(a.sign(nil, func(c map[string]any) {
		c["iss"], c["sub"] = "https://kubernetes.example", "system:serviceaccount:demo:print-shop"
	}))
	f.Add("..")
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, assertion string) {
		a.auth = New(Config{})
		caller, err := a.present("/token", assertion)
		if err != nil {
			want := errFailed().Description
			if isAccountToken(assertion) {
				want = errUnnamed().Description
			}
			if e := oauth.AsError(err); caller.Client != nil || e.Code != oauth.InvalidClient || e.Description != want {
				t.Fatalf("%v, %v", caller, err)
			}
			return
		}
		if caller.Client.ID != id || strings.Count(assertion, ".") != 2 {
			t.Fatalf("%q is taken for %s", assertion, caller.Client.ID)
		}
		if _, err := a.present("/token", assertion); err == nil {
			t.Fatalf("%q was taken twice", assertion)
		}
	})
}
