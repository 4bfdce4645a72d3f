package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	if _, err := parseOptions("server", []string{"--outbound-allowed-cidrs=10.0.0.1"}); err == nil || !strings.Contains(err.Error(), "--outbound-allowed-cidrs") {
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
