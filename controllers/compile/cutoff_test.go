package compile

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
)

func TestRevokeTokensIssuedBefore(t *testing.T) {
	const spec = `revokeTokensIssuedBefore: "2026-01-02T03:04:05Z"`
	m := newMemory(t)
	config, _ := AuthorizationServer(m, m.addServer(t, "x", `{issuer: "https://x.example.com", `+spec+`}`))
	users, _ := LocalUser(m, m.addUser(t, "alice", spec))
	client := compiled(t, `{type: Public, grantTypes: [authorization_code], redirectURIs: ["https://shop.example/callback"], `+spec+`}`)
	for of, got := range map[string]registry.Cutoff{"issuer": config.RevokedBefore, "user": users["default"].RevokedBefore, "client": client.RevokedBefore} {
		if !time.Time(got).Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
			t.Errorf("%s: %v", of, time.Time(got))
		}
	}
	if c := compiled(t, basic); !time.Time(c.RevokedBefore).IsZero() {
		t.Errorf("where nothing is said: %v", time.Time(c.RevokedBefore))
	}
}
