package certificate

import (
	"slices"
	"testing"
	"time"
)

func TestNamesAreHostsOfHTTPSIssuersAndThoseGiven(t *testing.T) {
	issuers := []string{"https://login.example.com", "https://login.example.com/tenant", "https://localhost:20000", "https://[::1]:8443", "http://127.0.0.1:20001", "://"}
	got := names(issuers, []string{"latchkey-server.latchkey-system.svc"})
	want := []string{"::1", "latchkey-server.latchkey-system.svc", "localhost", "login.example.com"}
	if !slices.Equal(got, want) {
		t.Errorf("names: %v, want %v", got, want)
	}
}

// Names in another form than a certificate has them, or that none can have, would have it issued again without end.
func TestNamesAreThoseThatACertificateHas(t *testing.T) {
	issuers := []string{"https://[0:0:0:0:0:0:0:1]:8443", "https://login.example.com.", "https://a..b", "https://-"}
	wanted := names(issuers, []string{"::0001", "::ffff:127.0.0.1", "*.example.com"})
	if !slices.Equal(wanted, []string{"*.example.com", "127.0.0.1", "::1"}) {
		t.Errorf("names: %v", wanted)
	}
	now := time.Now()
	a, err := newAuthority(serving(), now, nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := a.issue(wanted, now)
	if err != nil {
		t.Fatal(err)
	}
	if why := a.stale(cert, key, wanted, now); why != "" {
		t.Error(why)
	}
}

func TestStale(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ours, err := newAuthority(serving(), now, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := newAuthority(serving(), now, nil)
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{"127.0.0.1", "a.example"}
	cert, key, err := ours.issue(wanted, now)
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := ours.issue(wanted, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		cert, key []byte
		by        *authority
		wanted    []string
		at        time.Time
		good      bool
	}{
		"good":                   {cert, key, ours, wanted, now.Add(59 * 24 * time.Hour), true},
		"none":                   {nil, nil, ours, wanted, now, false},
		"another key":            {cert, otherKey, ours, wanted, now, false},
		"another authority":      {cert, key, theirs, wanted, now, false},
		"a name too few":         {cert, key, ours, []string{"127.0.0.1", "a.example", "b.example"}, now, false},
		"a name too many":        {cert, key, ours, []string{"a.example"}, now, false},
		"two thirds of its life": {cert, key, ours, wanted, now.Add(60 * 24 * time.Hour), false},
		"expired":                {cert, key, ours, wanted, now.Add(91 * 24 * time.Hour), false},
	} {
		if why := tc.by.stale(tc.cert, tc.key, tc.wanted, tc.at); (why == "") != tc.good {
			t.Errorf("%s: %q", name, why)
		}
	}
}

func TestAuthorityIsReadBackAsWritten(t *testing.T) {
	a, err := newAuthority(serving(), time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.keyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseAuthority(serving(), a.bundle(), key); err != nil {
		t.Error(err)
	}
	b, err := newAuthority(serving(), time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseAuthority(serving(), b.bundle(), key); err == nil {
		t.Error("another authority's key was accepted")
	}
}
