package grant

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// TestGrantsOfAUserToAClientAreBounded: whoever has a session can't have the store filled, nobody else pays for it, and it passes.
func TestGrantsOfAUserToAClientAreBounded(t *testing.T) {
	f := newFixture(t)
	spent := form(f.seal(t, f.code()))
	wantIssued(t, f.redeem(spent))
	create := func(n int, userUID, clientUID string) {
		for range n {
			g := &store.Grant{
				ID: token.NewID(), AuthorizationServer: f.iss.Name, ClientID: registrytest.PrintShop, ClientUID: clientUID,
				User: registrytest.Alice, UserUID: userUID, ExpiresAt: f.now.Add(time.Minute), Attempt: token.NewID(),
			}
			if err := f.grants.Create(t.Context(), g, store.NoLimit); err != nil {
				t.Fatal(err)
			}
		}
	}
	create(maxLiving, registrytest.AliceUID, "another client")
	create(maxLiving, "another user", registrytest.PrintShopUID)
	create(maxLiving-2, registrytest.AliceUID, registrytest.PrintShopUID)
	wantIssued(t, f.redeem(form(f.seal(t, f.code())))) // the last one
	writes := f.counted()
	wantRefused(t, f.redeem(form(f.seal(t, f.code()))), oauth.TemporarilyUnavailable)
	writes.want(t, 0, 0, 0)
	wantRefused(t, f.redeem(spent), oauth.InvalidGrant) // a replay is one all the same, and makes room
	wantIssued(t, f.redeem(form(f.seal(t, f.code()))))
	wantRefused(t, f.redeem(form(f.seal(t, f.code()))), oauth.TemporarilyUnavailable)
	f.now = f.now.Add(time.Minute) // they have expired
	wantIssued(t, f.redeem(form(f.seal(t, f.code()))))
}
