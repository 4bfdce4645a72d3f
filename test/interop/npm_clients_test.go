package interop

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// claims are those of dora that clients see.
type claims struct {
	Subject   string `json:"sub"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	GivenName string `json:"given_name"`
	Zoneinfo  string `json:"zoneinfo"`
	AuthTime  int64  `json:"auth_time"`
}

// introspected is an answer of RFC 7662.
type introspected struct {
	Active   bool   `json:"active"`
	Scope    string `json:"scope"`
	ClientID string `json:"client_id"`
	Subject  string `json:"sub"`
}

// signedIn is what a script reports of a user who is signed in.
type signedIn struct{ Claims, UserInfo claims }

// each runs scenarios of a script side by side, each as the client that is named, and checks what it reports.
func each[T any](t *testing.T, file string, scenarios map[string]string, check func(t *testing.T, got T)) {
	t.Helper()
	for _, scenario := range slices.Sorted(maps.Keys(scenarios)) {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			as := find(t, scenarios[scenario])
			api := find(t, "orders")
			as.API = &api
			check(t, script[T](t, file, scenario, as))
		})
	}
}

// knowsDora is the check for scenarios that end with dora signed in.
func knowsDora(t *testing.T, got signedIn) {
	t.Helper()
	if got.Claims.Subject == "" || got.UserInfo.Subject != got.Claims.Subject || got.UserInfo.Name != "Dora Wells" || got.UserInfo.Email != "dora@example.com" {
		t.Errorf("the client sees %+v", got)
	}
}

// itself is the check for scenarios that check themselves.
func itself(*testing.T, struct{}) {}

func hasScope(t *testing.T, got string, want ...string) {
	t.Helper()
	scopes := strings.Fields(got)
	slices.Sort(scopes)
	if !slices.Equal(scopes, want) {
		t.Errorf("scope %q, not %v", got, want)
	}
}

func TestOpenIDClient(t *testing.T) {
	const file = "openid-client.mjs"
	each(t, file, map[string]string{
		"code_with_client_secret_basic": "web-shop",
		"code_with_client_secret_post":  "web",
		"code_of_a_public_client":       "phone",
		"code_by_form_post":             "web",
		"code_with_private_key_jwt":     "signer",
		"max_age":                       "web",
		"prompt_none_and_login":         "portal",
		"refresh":                       "web",
		"signed_userinfo":               "web-es256",
		"device":                        "tv",
	}, knowsDora)
	each(t, file, map[string]string{
		"deny":                      "web",
		"prompt_none_of_a_stranger": "web",
		"replay":                    "web",
		"client_credentials_with_private_key_jwt": "signer",
		"refresh_without_rotation":                "veteran",
		"without_pkce":                            "veteran",
		"logout":                                  "web",
	}, itself)
	each(t, file, map[string]string{"claims_parameter": "web"}, func(t *testing.T, got signedIn) {
		want := signedIn{
			claims{Subject: got.Claims.Subject, Email: "dora@example.com", AuthTime: got.Claims.AuthTime},
			claims{Subject: got.Claims.Subject, GivenName: "Dora", Zoneinfo: "Europe/London"},
		}
		if got != want || got.Claims.AuthTime == 0 {
			t.Errorf("the client sees %+v", got)
		}
	})
	each(t, file, map[string]string{"resources": "web"}, func(t *testing.T, got struct{ Orders, Stock, Less string }) {
		hasScope(t, got.Orders, "offline_access", "openid", "orders.read")
		hasScope(t, got.Stock, "offline_access", "openid", "stock.read")
		hasScope(t, got.Less, "orders.read")
	})
	each(t, file, map[string]string{"client_credentials": "robot"}, func(t *testing.T, got struct{ Scope, All string }) {
		hasScope(t, got.Scope, "orders.read")
		hasScope(t, got.All, "orders.read", "orders.write")
	})
	each(t, file, map[string]string{"introspection_and_revocation": "web"}, func(t *testing.T, got struct{ Before introspected }) {
		worthSomething(t, got.Before)
	})
}

func TestOAuth4WebAPI(t *testing.T) {
	const file = "oauth4webapi.mjs"
	each(t, file, map[string]string{
		"code_found_by_openid_discovery": "web-shop",
		"code_found_by_oauth_metadata":   "web-shop",
		"code_with_client_secret_post":   "web",
		"code_of_a_public_client":        "phone",
		"code_by_form_post":              "web",
		"code_with_private_key_jwt":      "signer",
		"refresh":                        "phone",
		"signed_userinfo":                "web-ps256",
		"device":                         "tv",
	}, knowsDora)
	each(t, file, map[string]string{
		"client_credentials_with_private_key_jwt": "publisher",
		"device_denied": "tv",
	}, itself)
	each(t, file, map[string]string{"jwt_access_token": "web"}, func(t *testing.T, got struct{ Claims struct{ Scope string } }) {
		hasScope(t, got.Claims.Scope, "openid", "orders.read")
	})
	each(t, file, map[string]string{"token_exchange": "web"}, func(t *testing.T, got struct{ Claims struct{ Scope string } }) {
		hasScope(t, got.Claims.Scope, "stock.read")
	})
	each(t, file, map[string]string{"client_credentials": "robot"}, func(t *testing.T, got struct{ Scope string }) {
		hasScope(t, got.Scope, "orders.read")
	})
	each(t, file, map[string]string{"introspection_and_revocation": "web"}, func(t *testing.T, got struct{ Before, Signed, After introspected }) {
		worthSomething(t, got.Before)
		if got.Signed != got.Before || got.After != (introspected{}) {
			t.Errorf("signed: %+v, after the revocation: %+v", got.Signed, got.After)
		}
	})
}

// worthSomething checks what the API learns of a token that counts.
func worthSomething(t *testing.T, got introspected) {
	t.Helper()
	if !slices.Contains(strings.Fields(got.Scope), "orders.read") || !got.Active || got.ClientID != "interop.web" || got.Subject == "" {
		t.Errorf("the API is told %+v", got)
	}
}
