package interaction

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

func TestParseClaims(t *testing.T) {
	for raw, want := range map[string]claimsRequest{
		`{}`: {},
		`{"userinfo": {"name":null,"email":{"essential":true},"http://x.example/claim":{"value":{"a":[1]}}},"id_token":{"auth_time":{"essential":true}}}`: {
			userinfo: []string{"email", "http://x.example/claim", "name"}, idToken: []string{"auth_time"}},
		`{"userinfo":null,"id_token":null,"of_tomorrow":{"x":[{}]}}`:               {},
		`{"id_token":{"sub":{"value":"248289761001"}}}`:                            {idToken: []string{"sub"}, subject: "248289761001"},
		`{"id_token":{"acr":{"essential":true,"values":["a","b"],"purpose":"?"}}}`: {idToken: []string{"acr"}, acr: claimWish{essential: true, values: []json.RawMessage{[]byte(`"a"`), []byte(`"b"`)}}},
		`{"UserInfo":{"name":null},"ID_TOKEN":{"email":null}}`:                     {},
		`{"userinfo":{"name":{"Essential":"?","VALUES":1}}}`:                       {userinfo: []string{"name"}},
	} {
		got, err := parseClaims(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		acr := got.acr.essential == want.acr.essential && slices.EqualFunc(got.acr.values, want.acr.values, func(a, b json.RawMessage) bool { return string(a) == string(b) })
		if !slices.Equal(got.userinfo, want.userinfo) || !slices.Equal(got.idToken, want.idToken) || got.subject != want.subject || !acr {
			t.Errorf("%s: %+v, want %+v", raw, *got, want)
		}
	}
}

// Row: oversized or deep input, and what two readers would read in two ways.
func TestParseClaimsRefuses(t *testing.T) {
	many := make([]string, maxClaims+1)
	for i := range many {
		many[i] = `"c` + strings.Repeat("x", i) + `":null`
	}
	for name, raw := range map[string]string{
		"nothing": "", "no JSON": "{", "an array": "[]", "null": "null", "a string": `"userinfo"`, "two values": "{}{}", "a comment": "{}//", "not UTF-8": "{\"\xff\":null}",
		"a name twice":              `{"userinfo":{},"userinfo":{"name":null}}`,
		"a claim twice":             `{"userinfo":{"name":null,"n\u0061me":{"essential":true}}}`,
		"a name twice further down": `{"userinfo":{"x":{"value":[{"a":1,"a":2}]}}}`,
		"a member that is none":     `{"userinfo":["name"]}`,
		"a claim that is none":      `{"userinfo":{"name":true}}`,
		"essential as text":         `{"id_token":{"acr":{"essential":"true"}}}`,
		"essential null":            `{"id_token":{"acr":{"essential":null}}}`,
		"values as text":            `{"id_token":{"acr":{"values":"a"}}}`,
		"no values":                 `{"id_token":{"acr":{"values":[]}}}`,
		"a subject as a number":     `{"id_token":{"sub":{"value":1}}}`,
		"an empty subject":          `{"id_token":{"sub":{"value":""}}}`,
		"too deep":                  `{"x":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`,
		"deep as can be":            strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500),
		"too many claims":           `{"userinfo":{` + strings.Join(many, ",") + `}}`,
	} {
		if got, err := parseClaims(raw); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A claim counts when the client declares the scope that it belongs to; without openid there is nowhere to tell it.
func TestClaimsBelongToScopes(t *testing.T) {
	for _, tc := range []struct {
		name, scope, claims string
		userinfo, idToken   []string
	}{
		{"one of a scope not asked for", "openid", `{"userinfo":{"name":{"essential":true}}}`, []string{"name"}, nil},
		{"in the ID token", "openid", `{"id_token":{"email":null,"auth_time":null}}`, nil, []string{"email"}},
		{"one that its scope brings", "openid profile", `{"userinfo":{"name":null},"id_token":{"name":null}}`, nil, []string{"name"}},
		{"of a scope that the client does not declare", "openid", `{"userinfo":{"phone_number":null,"groups":null}}`, nil, nil},
		{"of nobody", "openid", `{"userinfo":{"shoe_size":{"essential":true}},"id_token":{"acr":null,"sub":null,"iss":null}}`, nil, nil},
		{"without openid", "profile", `{"userinfo":{"name":null}}`, nil, nil},
	} {
		r := &Request{
			Client: &registry.Client{Scopes: []string{"openid", "profile", "email"}}, params: map[string][]string{"claims": {tc.claims}},
			Ask: &registry.Ask{Identity: oauth.SplitScope(tc.scope)},
		}
		if err := r.checkClaims(); err != nil || !slices.Equal(r.Ask.UserinfoClaims, tc.userinfo) || !slices.Equal(r.Ask.IDTokenClaims, tc.idToken) {
			t.Errorf("%s: %v, %v, %v", tc.name, r.Ask.UserinfoClaims, r.Ask.IDTokenClaims, err)
		}
	}
}

// FuzzClaimsParameter: whatever a client sends, it is refused or read as any other reader would, within bounds.
func FuzzClaimsParameter(f *testing.F) {
	for _, raw := range []string{
		`{"userinfo":{"given_name":{"essential":true},"nickname":null,"picture":null},"id_token":{"auth_time":{"essential":true},"acr":{"values":["urn:mace:incommon:iap:silver"]}}}`,
		`{"id_token":{"sub":{"value":"248289761001"},"acr":{"essential":true,"values":["` + token.ACRPassword + `"]}}}`,
		`{"userinfo":{"name":{"value":1e309}}}`, `{"userinfo":{"a":{},"\u0061":{}}}`, `[[[[[[[[[]]]]]]]]]`, `{"userinfo":{"` + "\x00" + `":null}}`, `{}x`, `nul`, `{"id_token":{"sub":{"values":["a"]}}}`,
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseClaims(raw)
		if err != nil {
			return
		}
		var plain struct {
			Userinfo map[string]any `json:"userinfo"`
			IDToken  map[string]any `json:"id_token"`
		}
		var exact map[string]json.RawMessage
		if err := json.Unmarshal([]byte(raw), &exact); err != nil {
			t.Fatalf("%q is read, but is no object: %v", raw, err)
		}
		for name, into := range map[string]*map[string]any{"userinfo": &plain.Userinfo, "id_token": &plain.IDToken} {
			if err := json.Unmarshal(exact[name], into); len(exact[name]) > 0 && err != nil && !strings.Contains(err.Error(), "number") {
				t.Fatalf("%q: %s: %v", raw, name, err)
			}
		}
		if len(got.userinfo) > maxClaims || len(got.idToken) > maxClaims || len(got.userinfo) != len(plain.Userinfo) || len(got.idToken) != len(plain.IDToken) {
			t.Fatalf("%q: %v and %v", raw, got.userinfo, got.idToken)
		}
		r := &Request{
			Client: &registry.Client{Scopes: []string{"openid", "profile", "email"}}, params: map[string][]string{"claims": {raw}},
			Ask: &registry.Ask{Identity: []string{"openid"}}, Seen: time.Time{},
		}
		if err := r.checkClaims(); err != nil && err.Code != oauth.InvalidRequest && err.Code != oauth.UnmetAuthenticationRequirements {
			t.Fatalf("%q: %v", raw, err)
		}
	})
}
