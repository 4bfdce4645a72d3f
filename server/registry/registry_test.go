package registry

import (
	"testing"
)

// Security: redirect_uri: the match is exact; the port alone may differ, and only for http loopback-IP redirects.
func TestRedirectURIMatches(t *testing.T) {
	const https = "https://shop.example/callback"
	tests := []struct {
		registered, requested string
		want                  bool
	}{
		{https, https, true},
		{"http://127.0.0.1/callback", "http://127.0.0.1:51004/callback", true},
		{"http://127.0.0.1:8080/callback", "http://127.0.0.1:51004/callback", true},
		{"http://127.0.0.1:8080/callback", "http://127.0.0.1/callback", true},
		{"http://127.0.0.1/callback?a=b", "http://127.0.0.1:1/callback?a=b", true},
		{"http://[::1]/callback", "http://[::1]:51004/callback", true},
		{"com.example.app:/callback", "com.example.app:/callback", true},
		{"http://localhost:3000/callback", "http://localhost:3000/callback", true},

		{https, "", false},
		{https, https + "/", false},
		{https, https + "?", false},
		{https, https + "?a=b", false},
		{https, https + "#", false},
		{https, https + "#x", false},
		{https, https + " ", false},
		{https, https + "\r\nSet-Cookie: a=b", false},
		{https, https + "/../evil", false},
		{https, "https://shop.example/callback%2f", false},
		{https, "https://shop.example/%63allback", false},
		{https, "https://shop.example/Callback", false},
		{https, "HTTPS://shop.example/callback", false},
		{https, "https://SHOP.example/callback", false},
		{https, "https://shop.example:443/callback", false},
		{https, "https://shop.example./callback", false},
		{https, "http://shop.example/callback", false},
		{https, "//shop.example/callback", false},
		{https, "https:/shop.example/callback", false},
		{https, "https://user@shop.example/callback", false},
		{https, "https://shop.example@evil.example/callback", false},
		{https, "https://shop.example.evil.example/callback", false},
		{https, "https://evil.example/?https://shop.example/callback", false},
		{https, `https://evil.example\@shop.example/callback`, false},
		{https, "https://evil.example/callback", false},
		{https, "javascript:alert(1)//shop.example/callback", false},
		{https, "data:text/html,x", false},
		{"https://*.example/callback", "https://shop.example/callback", false},

		{"http://127.0.0.1/callback", "http://127.0.0.1:51004/other", false},
		{"http://127.0.0.1/callback", "http://127.0.0.1:51004/callback/", false},
		{"http://127.0.0.1/callback", "http://127.0.0.1:51004/callback?a=b", false},
		{"http://127.0.0.1/callback", "http://127.0.0.1:51004/callback#", false},
		{"http://127.0.0.1/callback", "http://127.0.0.1:51004/x/../callback", false},
		{"http://127.0.0.1/callback", "http://127.0.0.1:port/callback", false},
		{"http://127.0.0.1/callback", "http://127.0.0.2:51004/callback", false},
		{"http://127.0.0.1/callback", "http://localhost:51004/callback", false},
		{"http://127.0.0.1/callback", "http://[::1]:51004/callback", false},
		{"http://127.0.0.1/callback", "http://127.1:51004/callback", false},
		{"http://127.0.0.1/callback", "http://2130706433:51004/callback", false},
		{"http://127.0.0.1/callback", "https://127.0.0.1:51004/callback", false},
		{"http://127.0.0.1/callback", "HTTP://127.0.0.1:51004/callback", false},
		{"http://127.0.0.1/callback", "http://127.0.0.1:51004@evil.example/callback", false},
		{"http://127.0.0.1/callback", `http://127.0.0.1:51004\@evil.example/callback`, false},
		{"http://127.0.0.1/callback", `http://127.0.0.1:51004/\evil`, false},
		{"http://127.0.0.1/callback", "http://127.0.0.1.evil.example:51004/callback", false},
		{"http://127.0.0.1/callback", "http://user@127.0.0.1:51004/callback", false},
		{"http://localhost:3000/callback", "http://localhost:3001/callback", false},
		{"https://127.0.0.1:3000/callback", "https://127.0.0.1:3001/callback", false},
		{"http://192.168.1.1:3000/callback", "http://192.168.1.1:3001/callback", false},
		{"com.example.app:/callback", "com.example.app:/callback2", false},
	}
	for _, test := range tests {
		if got := ParseRedirectURI(test.registered, true).Matches(test.requested); got != test.want {
			t.Errorf("registered %q, requested %q: got %v, want %v", test.registered, test.requested, got, test.want)
		}
	}
}

// Security: Host spoofing: the host only chooses among the issuers that share a path.
func TestSnapshotByPath(t *testing.T) {
	issuer := func(url string) *Issuer {
		u, err := ParseIssuerURL(url)
		if err != nil {
			t.Fatal(err)
		}
		return &Issuer{Config: &Config{IssuerURL: u}}
	}
	alone, left, right := issuer("https://a.example"), issuer("https://b.example/t"), issuer("https://c.example:8443/t")
	s := NewSnapshot([]*Issuer{alone, left, right})
	tests := []struct {
		host, path string
		want       *Issuer
	}{
		{"a.example", "", alone},
		{"evil.example", "", alone},
		{"b.example", "/t", left},
		{"B.EXAMPLE", "/t", left},
		{"c.example:8443", "/t", right},
		{"c.example", "/t", nil},
		{"evil.example", "/t", nil},
		{"", "/t", nil},
		{"b.example", "/T", nil},
		{"b.example", "/t/", nil},
		{"b.example", "/nowhere", nil},
	}
	for _, test := range tests {
		if got, ok := s.ByPath(test.host, test.path); got != test.want || ok != (test.want != nil) {
			t.Errorf("ByPath(%q, %q) = %v, %v, want %v", test.host, test.path, got, ok, test.want)
		}
	}
	if got, ok := s.ByURL("https://b.example/t"); !ok || got != left {
		t.Error("ByURL does not find an issuer")
	}
	if _, ok := s.ByURL("https://b.example/t/"); ok {
		t.Error("ByURL finds what is not exactly an issuer")
	}
}

func TestIssuerUser(t *testing.T) {
	i := &Issuer{Users: Map[*User]{}.With(map[string]*User{"alice": {Name: "alice", UID: "1"}})}
	for _, test := range []struct {
		name, uid string
		want      bool
	}{{"alice", "1", true}, {"alice", "2", false}, {"alice", "", false}, {"bob", "1", false}, {"bob", "", false}} {
		if _, ok := i.User(test.name, test.uid); ok != test.want {
			t.Errorf("User(%q, %q): %v, want %v", test.name, test.uid, ok, test.want)
		}
	}
}

func TestHolder(t *testing.T) {
	var h Holder
	if h.Load() != nil {
		t.Error("the zero Holder has a Snapshot")
	}
	s := NewSnapshot(nil)
	h.Store(s)
	if h.Load() != s {
		t.Error("Load does not return what was stored")
	}
}

func TestHolderHas(t *testing.T) {
	var h Holder
	if h.Has("https://a.example") {
		t.Error("the zero Holder has an issuer")
	}
	h.Store(NewSnapshot([]*Issuer{{Config: &Config{IssuerURL: IssuerURL{URL: "https://a.example"}}}}))
	for issuer, want := range map[string]bool{"https://a.example": true, "https://a.example/": false, "https://b.example": false, "": false} {
		if h.Has(issuer) != want {
			t.Errorf("%q: %t", issuer, !want)
		}
	}
}

func TestScopePermittedTo(t *testing.T) {
	for _, test := range []struct {
		required, groups []string
		want             bool
	}{
		{nil, nil, true},
		{nil, []string{"a"}, true},
		{[]string{"a"}, nil, false},
		{[]string{"a", "b"}, []string{"b"}, true},
		{[]string{"a"}, []string{"A", "aa"}, false},
	} {
		s := &Scope{RequiredGroups: test.required}
		if got := s.PermittedTo(&User{Groups: test.groups}); got != test.want {
			t.Errorf("required %v, groups %v: got %v", test.required, test.groups, got)
		}
	}
}

func TestOnlyPublicClientsMayChangeTheLoopbackPort(t *testing.T) {
	const registered, requested = "http://127.0.0.1/callback", "http://127.0.0.1:8123/callback"
	for public, want := range map[bool]bool{true: true, false: false} {
		if got := ParseRedirectURI(registered, public).Matches(requested); got != want {
			t.Errorf("public %t: matches %t", public, got)
		}
	}
}
