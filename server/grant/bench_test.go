package grant

import (
	"net/http"
	"testing"
)

// BenchmarkToken is a token request as the handler sees it, with the memory store.
func BenchmarkToken(b *testing.B) {
	b.Run("authorization_code", func(b *testing.B) {
		f := newFixture(b)
		b.ReportAllocs()
		for b.Loop() {
			code := f.code()
			if w := f.redeem(form(f.seal(b, code))); w.Code != http.StatusOK {
				b.Fatal(w.Body)
			}
			if err := f.grants.Delete(b.Context(), code.ID); err != nil { // one user may have so many
				b.Fatal(err)
			}
		}
	})
	b.Run("refresh_token", func(b *testing.B) {
		f := newFixture(b)
		last, _ := f.approved(b, nil)
		b.ReportAllocs()
		for b.Loop() {
			last = wantIssued(b, f.refresh(last.RefreshToken))
		}
	})
	b.Run("client_credentials", func(b *testing.B) {
		f := newFixture(b)
		b.ReportAllocs()
		for b.Loop() {
			if w := f.redeem(credentialsForm("scope", "photos.read")); w.Code != http.StatusOK {
				b.Fatal(w.Body)
			}
		}
	})
}
