package token

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// everything is a user of whom all is declared.
func everything() *registry.User {
	return &registry.User{
		Name: "alice", DisplayName: "Alice Liddell", Email: "alice@example.com", Groups: []string{"family"},
		Profile: registry.Profile{
			GivenName: "Alice", FamilyName: "Liddell", MiddleName: "Pleasance", Nickname: "Al",
			ProfileURL: "https://alice.example", PictureURL: "https://alice.example/me.png", Website: "https://blog.example",
			Gender: "female", Birthdate: "1852-05-04", Zoneinfo: "Europe/London", Locale: "en-GB",
			UpdatedAt: time.Unix(1700000000, 5), PhoneNumber: "+441865276150",
			Address: registry.Address{Formatted: "St Aldates\nOxford", StreetAddress: "St Aldates", Locality: "Oxford", Region: "Oxfordshire", PostalCode: "OX1 1DP", Country: "UK"},
		},
	}
}

// What each scope and each name brings: OpenID Connect Core sections 5.1, 5.4 and 5.5.
func TestClaimsOf(t *testing.T) {
	profile := map[string]any{
		"name": "Alice Liddell", "given_name": "Alice", "family_name": "Liddell", "middle_name": "Pleasance", "nickname": "Al",
		"preferred_username": "alice", "profile": "https://alice.example", "picture": "https://alice.example/me.png", "website": "https://blog.example",
		"gender": "female", "birthdate": "1852-05-04", "zoneinfo": "Europe/London", "locale": "en-GB", "updated_at": 1700000000.0,
	}
	address := map[string]any{"formatted": "St Aldates\nOxford", "street_address": "St Aldates", "locality": "Oxford", "region": "Oxfordshire",
		"postal_code": "OX1 1DP", "country": "UK"}
	for _, test := range []struct {
		scopes, names string
		user          *registry.User
		want          map[string]any
	}{
		{"openid offline_access", "", everything(), map[string]any{}},
		{"openid profile", "", everything(), profile},
		{"openid email", "", everything(), map[string]any{"email": "alice@example.com", "email_verified": true}},
		{"openid phone", "", everything(), map[string]any{"phone_number": "+441865276150", "phone_number_verified": true}},
		{"openid address", "", everything(), map[string]any{"address": address}},
		{"openid groups", "", everything(), map[string]any{"groups": []any{"family"}}},
		{"openid", "name updated_at", everything(), map[string]any{"name": "Alice Liddell", "updated_at": 1700000000.0}},
		{"openid email", "email locale", everything(), map[string]any{"email": "alice@example.com", "email_verified": true, "locale": "en-GB"}},
		{"openid", "sub acr auth_time iss nonsense Name", everything(), map[string]any{}},
		{"openid profile email phone address groups", "", &registry.User{Name: "bob"}, map[string]any{"preferred_username": "bob"}},
	} {
		body, err := json.Marshal(ClaimsOf(test.user, oauth.SplitScope(test.scopes), oauth.SplitScope(test.names)))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s, by name %q: got %v\nwant %v", test.scopes, test.names, got, test.want)
		}
	}
}

// The table names every member of UserClaims, once and as it stands on the wire.
func TestEveryClaimHasAScope(t *testing.T) {
	members := reflect.TypeFor[UserClaims]()
	if len(ClaimNames()) != members.NumField() {
		t.Errorf("%d names for %d members", len(ClaimNames()), members.NumField())
	}
	for _, name := range ClaimNames() {
		var all map[string]any
		body, err := json.Marshal(ClaimsOf(everything(), nil, []string{name}))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(body, &all); err != nil || len(all) != 1 || all[name] == nil {
			t.Errorf("%s brings %s", name, body)
		}
		if scope, ok := ClaimScope(name); !ok || scope == "" {
			t.Errorf("%s has no scope", name)
		}
	}
}

// A claim is granted by name only to a client that declares its scope.
func TestAllowedClaims(t *testing.T) {
	client := &registry.Client{Scopes: []string{oauth.ScopeOpenID, oauth.ScopeProfile}}
	got := AllowedClaims(client, []string{"name", "email", "sub", "nonsense", "locale", "name"})
	if want := []string{"name", "locale"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
