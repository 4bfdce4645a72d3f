package registry

import "testing"

func TestParseIssuerURL(t *testing.T) {
	for issuer, want := range map[string]IssuerURL{
		"https://login.example":          {Host: "login.example", Secure: true},
		"https://login.example:8443/a/b": {Host: "login.example:8443", Path: "/a/b", Secure: true},
		"http://localhost:8080":          {Host: "localhost:8080", Loopback: true},
		"https://127.0.0.2/a":            {Host: "127.0.0.2", Path: "/a", Secure: true, Loopback: true},
		"http://[::1]:8080":              {Host: "[::1]:8080", Loopback: true},
		"https://localhost.example":      {Host: "localhost.example", Secure: true},
		"https://192.168.0.1":            {Host: "192.168.0.1", Secure: true},
	} {
		got, err := ParseIssuerURL(issuer)
		want.URL, want.Tag = issuer, got.Tag
		if err != nil || got != want || len(got.Tag) != 16 {
			t.Errorf("%s: %+v, %v", issuer, got, err)
		}
	}
	for _, issuer := range []string{"", "login.example", "/a", "https:///a", "mailto:a@b.example", "https://[::1"} {
		if got, err := ParseIssuerURL(issuer); err == nil {
			t.Errorf("%q: %+v", issuer, got)
		}
	}
}
