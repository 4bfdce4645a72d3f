package ui_test

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Whatever is requested: it matches only as it was declared or as another port of the same loopback address, and then there is a
// source for the policy of the page.
func FuzzRedirectURI(f *testing.F) {
	declared := []string{"https://print.example/callback", "http://127.0.0.1/cb", "http://[::1]:80/cb?a=b", "http://localhost:8000/cb", "com.example.app:/cb"}
	for _, uri := range append(declared, "http://127.0.0.1:65536/cb", "http://127.0.0.1:1@evil.example/cb", "http://[::1%25lo]:1/cb",
		"http://[127.0.0.1]:1/cb", "http://127.0.0.1:1/cb\r\n", "http://127.0.0.1:1\\@evil/cb", "http://::1/cb", "HTTP://127.0.0.1:1/cb") {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, requested string) {
		for _, uri := range declared {
			if !registry.ParseRedirectURI(uri, true).Matches(requested) {
				continue
			}
			if _, err := ui.FormOrigin(requested); err != nil {
				t.Errorf("%q matches %q: %v", requested, uri, err)
			}
			if requested == uri {
				continue
			}
			got, err := url.Parse(requested)
			want, _ := url.Parse(uri)
			if err != nil || got.User != nil || got.Hostname() != want.Hostname() || got.RequestURI() != want.RequestURI() || got.Fragment != "" {
				t.Fatalf("%q matches %q", requested, uri)
			}
			if ip, err := netip.ParseAddr(got.Hostname()); err != nil || !ip.IsLoopback() || (ip.Is6() && got.Host[0] != '[') || (ip.Is4() && got.Host[0] == '[') {
				t.Errorf("%q matches %q", requested, uri)
			}
		}
	})
}
