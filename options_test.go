package main

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/listen"
	"github.com/latchkey-io/latchkey/server/outbound"
)

// What the flags allow is what the server calls: nothing that is not public without them.
func TestOutboundFlags(t *testing.T) {
	client := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(client.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args    []string
		reaches bool
	}{
		{nil, false},
		{[]string{"--outbound-ca-file=" + ca}, false},
		{[]string{"--outbound-allowed-cidrs=127.0.0.0/8,::1/128"}, false},
		{[]string{"--outbound-allowed-cidrs=127.0.0.0/8,::1/128", "--outbound-ca-file=" + ca}, true},
	} {
		o, err := parseOptions("server", row.args)
		if err != nil {
			t.Fatalf("%v: %v", row.args, err)
		}
		config, err := o.outbound()
		if err != nil {
			t.Fatalf("%v: %v", row.args, err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, client.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := outbound.New(config).Do(r)
		if (err == nil) != row.reaches {
			t.Errorf("%v: %v", row.args, err)
		}
		if err == nil {
			_ = res.Body.Close()
		}
	}
}

func TestOutboundFlagsThatAreWrong(t *testing.T) {
	if err := (&options{outboundAllowedCIDRs: "10.0.0.1"}).validate(); err == nil || !strings.Contains(err.Error(), "--outbound-allowed-cidrs") {
		t.Errorf("an address for a network: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty.crt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, empty + ".missing"} {
		o := &options{outboundCAFile: file}
		if _, err := o.outbound(); err == nil || !strings.Contains(err.Error(), "--outbound-ca-file") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Each flag of a limit sets that limit alone, and what is no limit is said to be none.
func TestLimitFlags(t *testing.T) {
	for name, set := range map[string]func(*limit.Rates) *limit.Rate{
		"--limit-pages":          func(r *limit.Rates) *limit.Rate { return &r.Page },
		"--limit-unproven":       func(r *limit.Rates) *limit.Rate { return &r.Unproven },
		"--limit-public-clients": func(r *limit.Rates) *limit.Rate { return &r.Public },
		"--limit-clients":        func(r *limit.Rates) *limit.Rate { return &r.Client },
	} {
		for text, rate := range map[string]limit.Rate{"2.5:7": {PerSecond: 2.5, Burst: 7}, "0": {}} {
			want := limit.DefaultRates()
			*set(&want) = rate
			if o, err := parseOptions("server", []string{name + "=" + text}); err != nil || o.limits != want {
				t.Errorf("%s=%s: %+v, %v; want %+v", name, text, o, err, want)
			}
		}
		for _, bad := range []string{"", "many", "-1:5", "5"} {
			if _, err := parseOptions("server", []string{name + "=" + bad}); !errors.Is(err, errUsage) {
				t.Errorf("%s=%s: %v", name, bad, err)
			}
		}
	}
}

func TestListenerFlags(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	o, err := parseOptions("server", []string{"--max-connections=7", "--max-requests=5"})
	if err != nil {
		t.Fatal(err)
	}
	all := o.bound([]listen.Listener{{Name: "https"}, {Name: "http"}, {Name: "review"}, {Name: "health"}}, proxies)
	for _, l := range all {
		if behind := l.Name == "https" || l.Name == "http"; l.MaxConnections != 7 || l.MaxRequests != 5 || (len(l.TrustedProxies) > 0) != behind {
			t.Errorf("%+v", l)
		}
	}
	for _, bad := range []string{"--max-connections=-1", "--max-requests=-1", "--max-connections=many", "--max-requests=", "--shutdown-delay=-1s", "--trusted-proxies=10.0.0.1"} {
		if err := run(t.Context(), []string{"server", bad}); !errors.Is(err, errUsage) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
