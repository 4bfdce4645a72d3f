package valkey_test

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// A change that comes too late again and again is one of many, and all of them count.
func TestChangeThatOthersPrecede(t *testing.T) {
	config := valkey.Config{Addresses: []string{valkeyserver.Start(t, valkeyserver.Options{}).Address}}
	for name, test := range map[string]struct {
		verb   string
		change func(*testing.T, *valkey.Store, *store.Grant) error
	}{
		"revocation": {valkey.VerbUpdate, func(t *testing.T, s *valkey.Store, g *store.Grant) error {
			return s.Revoke(t.Context(), g.ID, store.ReasonRevokedByClient, g.ExpiresAt)
		}},
		"deletion": {valkey.VerbDelete, func(t *testing.T, s *valkey.Store, g *store.Grant) error {
			return s.Delete(t.Context(), g.ID)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			other, g := open(t, config), storetest.NewGrant()
			if err := other.Create(t.Context(), g, store.NoLimit); err != nil {
				t.Fatal(err)
			}
			left, at, crowded := 20, time.Now(), config
			crowded.OnWrite = func(verb string) {
				if verb != test.verb || left == 0 {
					return
				}
				left, at = left-1, at.Add(time.Second)
				if _, err := other.Renew(t.Context(), g.ID, g.Generation, at, g.ExpiresAt); err != nil {
					t.Error(err)
				}
			}
			if err := test.change(t, open(t, crowded), g); err != nil || left > 0 {
				t.Errorf("%v, with %d others left", err, left)
			}
			if g, err := other.Get(t.Context(), g.ID); err == nil && g.RevokedAt.IsZero() {
				t.Error("the grant is in force")
			}
		})
	}
}
