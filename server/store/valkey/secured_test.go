package valkey_test

import (
	"os"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// secured is a server that speaks TLS, and knows one user who may do what docs/valkey.md says.
func secured(t testing.TB) valkey.Config {
	t.Helper()
	certificates := valkeyserver.NewCertificates(t)
	server := valkeyserver.Start(t, valkeyserver.Options{TLS: certificates, User: documentedUser(t)})
	config, err := valkey.ParseSecret(map[string][]byte{
		"addresses": []byte(server.Address + "\n"), "username": []byte("latchkey"), "password": []byte("a-long-password"), "ca.crt": certificates.CA,
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// documentedUser is the ACL line of docs/valkey.md.
func documentedUser(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/valkey.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rule, ok := strings.CutPrefix(strings.TrimSpace(line), "user "); ok {
			return strings.Replace(rule, "<password>", "a-long-password", 1)
		}
	}
	t.Fatal("docs/valkey.md has no line that begins with user")
	return ""
}

// What the suites don't do, the documented user may do as well.
func TestTheDocumentedUserMayDoAll(t *testing.T) {
	s := open(t, secured(t))
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	g := create(t, s)
	n := 0
	if err := s.Each(t.Context(), func(*store.Grant) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d grants, %v", n, err)
	}
	if err := s.Purge(t.Context(), g.ClientUID); err != nil {
		t.Error(err)
	}
}

func TestParseSecret(t *testing.T) {
	certificates := valkeyserver.NewCertificates(t)
	c, err := valkey.ParseSecret(map[string][]byte{
		"addresses": []byte("a:6379, b:6379\nc:6379"), "masterName": []byte("grants"), "sentinelPassword": []byte("s"), "prefix": []byte("site:"), "tls": []byte("true\n"),
	})
	if err != nil || len(c.Addresses) != 3 || c.MasterName != "grants" || c.SentinelPassword != "s" || c.Prefix != "site:" || c.TLS == nil {
		t.Errorf("got %+v, %v", c, err)
	}
	for name, test := range map[string]struct {
		data map[string]string
		want string
	}{
		"nothing":                {nil, "addresses"},
		"no port":                {map[string]string{"addresses": "valkey"}, "host:port"},
		"a URL":                  {map[string]string{"addresses": "valkey://u:hidden@valkey:6379"}, "host:port"},
		"a user alone":           {map[string]string{"username": "latchkey"}, "password"},
		"a strange word":         {map[string]string{"tls": "yes"}, "true or false"},
		"TLS and no TLS":         {map[string]string{"tls": "false", "ca.crt": string(certificates.CA)}, "false"},
		"no CA":                  {map[string]string{"ca.crt": "hidden"}, "ca.crt"},
		"a certificate, no key":  {map[string]string{"tls.crt": string(certificates.CA)}, "tls.key"},
		"a prefix with wildcard": {map[string]string{"prefix": "*"}, "prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{"addresses": []byte("valkey:6379")}
			for k, v := range test.data {
				data[k] = []byte(v)
			}
			if test.data == nil {
				data = nil
			}
			_, err := valkey.ParseSecret(data)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
