package interop

import (
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
)

// claims are those of alice that clients see.
type claims struct {
	Subject  string `json:"sub"`
	Name     string `json:"name"`
	Email    string `json:"email"`
	AuthTime int64  `json:"auth_time"`
}

func find(t *testing.T, name string) client {
	t.Helper()
	c, err := named(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// codeFlow are scenarios that end with alice signed in.
func codeFlow(t *testing.T, file string, scenarios map[string]string) {
	t.Helper()
	for scenario, name := range scenarios {
		t.Run(scenario, func(t *testing.T) {
			got := script[struct{ Claims, UserInfo claims }](t, file, scenario, find(t, name))
			if got.Claims.Subject == "" || got.UserInfo.Subject != got.Claims.Subject || got.UserInfo.Name != "Alice Liddell" {
				t.Errorf("the client sees %+v", got)
			}
		})
	}
}

func TestOpenIDClient(t *testing.T) {
	const file = "openid-client.mjs"
	codeFlow(t, file, map[string]string{
		"code_with_client_secret_basic": "web", "code_with_client_secret_post": "web", "code_of_a_public_client": "phone",
	})
	for scenario, name := range map[string]string{
		"resource": "web", "deny": "web", "prompt_none_of_a_stranger": "web", "max_age": "web", "replay": "web",
	} {
		t.Run(scenario, func(t *testing.T) { script[struct{}](t, file, scenario, find(t, name)) })
	}
}

func TestOAuth4WebAPI(t *testing.T) {
	const file = "oauth4webapi.mjs"
	codeFlow(t, file, map[string]string{
		"code_found_by_openid_discovery": "web", "code_found_by_oauth_metadata": "web",
		"code_with_client_secret_post": "web", "code_of_a_public_client": "phone",
	})
	t.Run("jwt_access_token", func(t *testing.T) {
		got := script[struct{ Claims struct{ Scope string } }](t, file, "jwt_access_token", find(t, "web"))
		if got.Claims.Scope != oidc.ScopeOpenID+" orders.read" {
			t.Errorf("the token has %+v", got.Claims)
		}
	})
}
