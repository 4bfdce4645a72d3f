package interaction

import (
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
)

func TestFormsMayLeadToWhereTheClientIsAtHome(t *testing.T) {
	client := &registry.Client{}
	for _, uri := range []string{
		"https://auth.shop.example/callback", "https://auth.shop.example/other", "https://shop.example/callback", "http://127.0.0.1/callback",
		"http://[::1]/callback", "com.example.app:/callback",
	} {
		client.RedirectURIs = append(client.RedirectURIs, registry.ParseRedirectURI(uri, true))
	}
	client.PostLogoutRedirectURIs = []registry.RedirectURI{registry.ParseRedirectURI("https://www.shop.example/bye", false)}
	for redirect, want := range map[string][]string{
		"https://shop.example/callback":  {"https://shop.example", "https://auth.shop.example", "http://127.0.0.1", "https://www.shop.example"},
		"http://127.0.0.1:4711/callback": {"http://127.0.0.1:4711", "https://auth.shop.example", "https://shop.example", "http://127.0.0.1", "https://www.shop.example"},
		"com.example.app:/callback":      {"com.example.app:", "https://auth.shop.example", "https://shop.example", "http://127.0.0.1", "https://www.shop.example"},
	} {
		r := &Request{Client: client, RedirectURI: redirect}
		chrome, err := r.Chrome(&registry.Issuer{Config: &registry.Config{}})
		if err != nil || !slices.Equal(chrome.FormOrigins, want) {
			t.Errorf("%s: %v, %v, want %v", redirect, chrome.FormOrigins, err, want)
		}
	}
}
