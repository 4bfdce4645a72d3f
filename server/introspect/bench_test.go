package introspect_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth"
	"github.com/latchkey-io/latchkey/server/introspect"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store/memory"
	"github.com/latchkey-io/latchkey/server/token"
)

// BenchmarkIntrospect is one request of a client about a client's token, from the request to the answer, in JSON and signed.
func BenchmarkIntrospect(b *testing.B) {
	now := time.Now().Truncate(time.Second)
	iss := registrytest.Issuer(b, "https://login.example.com", now)
	photos, _ := iss.Resources.Get(registrytest.Photos)
	declared := *photos
	declared.Introspectors = []string{registrytest.Nightly}
	iss = registrytest.WithResource(iss, &declared)
	clock := func() time.Time { return now }
	h := introspect.New(introspect.Config{
		Verifier: &token.Verifier{Grants: memory.New(clock), SignOuts: memory.NewSignOuts(clock), Now: clock, Seen: token.NewSeen()}, Clients: clientauth.New(clientauth.Config{}), Now: clock, Logger: slog.New(slog.DiscardHandler),
		Source: func(*http.Request) netip.Addr { return netip.Addr{} },
	})
	access := &token.Access{
		Issuer: iss.URL, Subject: registrytest.PrintShop, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID, ID: token.NewID(),
		Audience: []string{registrytest.Photos}, Scopes: []string{registrytest.PhotosRead}, IssuedAt: now, ExpiresAt: now.Add(time.Minute),
	}
	raw, err := access.Sign(iss.Keys, keys.ES256, now)
	if err != nil {
		b.Fatal(err)
	}
	body := url.Values{"token": {raw}}.Encode()
	for name, accepted := range map[string]string{"JSON": "application/json", "signed": signedType} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequest(http.MethodPost, "/introspect", strings.NewReader(body))
					r.Header.Set("Content-Type", oauth.FormMediaType)
					r.Header.Set("Accept", accepted)
					r.SetBasicAuth(registrytest.Nightly, registrytest.NightlySecret)
					w := httptest.NewRecorder()
					if err := h.Serve(w, r, iss); err != nil || w.Code != http.StatusOK {
						b.Errorf("HTTP %d, %v", w.Code, err)
						return
					}
				}
			})
		})
	}
}
