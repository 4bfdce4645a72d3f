package review_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// BenchmarkReview is one TokenReview of kube-apiserver's, from the request to the answer.
func BenchmarkReview(b *testing.B) {
	f := newFixture(b)
	f.handler.Logger = slog.New(slog.DiscardHandler)
	for name, raw := range map[string]string{"good": f.sign(b, f.access(registrytest.Photos)), "foreign": f.foreign(b)} {
		body, err := json.Marshal(newReview(raw, []string{registrytest.Photos}))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if w := f.post(v1Path, body, fromAPIServer); w.Code != http.StatusOK {
						b.Errorf("HTTP %d", w.Code)
						return
					}
				}
			})
		})
	}
}
