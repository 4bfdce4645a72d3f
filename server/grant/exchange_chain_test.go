package grant

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// readPhotos is a token by which the print shop may see Alice's photos, and nothing more.
func (f *fixture) readPhotos(t *testing.T) string {
	t.Helper()
	code := f.code()
	code.Targets = []store.Target{at(registrytest.Photos, registrytest.PhotosRead)}
	return wantIssued(t, f.redeem(form(f.seal(t, code)))).AccessToken
}

// By way of another API nobody gets more at one than the token had there, not even an API that is named by both.
func TestTokenExchangeNeverWidensByADetour(t *testing.T) {
	f := newExchange(t)
	f.withResource(t, registrytest.Orders, func(r *registry.Resource) { r.Exchangers = []string{ordersAPI, photosAPI} })
	there := wantIssued(t, f.exchange(photosAPI, f.readPhotos(t))).AccessToken
	for _, client := range []string{ordersAPI, photosAPI} {
		wantRefused(t, f.exchange(client, there, "resource", registrytest.Photos, "scope", registrytest.PhotosWrite), oauth.InvalidScope)
		back := wantIssued(t, f.exchange(client, there, "resource", registrytest.Photos, "scope", ""))
		if back.Scope != registrytest.PhotosRead {
			t.Errorf("%s: scope %q", client, back.Scope)
		}
		again := wantIssued(t, f.exchange(photosAPI, back.AccessToken)).AccessToken
		wantRefused(t, f.exchange(client, again, "resource", registrytest.Photos, "scope", registrytest.PhotosWrite), oauth.InvalidScope)
	}
}

// What its owner has withdrawn from the client that the token was issued to is not given to the next one at the same API.
func TestTokenExchangeOfAScopeThatIsWithdrawn(t *testing.T) {
	f := newExchange(t)
	code := f.code()
	code.Targets = []store.Target{at(registrytest.Photos, registrytest.PhotosRead, registrytest.PhotosWrite)}
	subject := wantIssued(t, f.redeem(form(f.seal(t, code)))).AccessToken
	pairs := []string{"resource", registrytest.Photos, "scope", registrytest.PhotosWrite}
	wantIssued(t, f.exchange(photosAPI, subject, pairs...))
	f.withClient(t, registrytest.PrintShop, func(c *registry.Client) {
		photos := c.Access[0]
		c.Access = []registry.Access{{Resource: photos.Resource, Scopes: photos.Scopes[:1]}}
	})
	wantRefused(t, f.exchange(photosAPI, subject, pairs...), oauth.InvalidScope)
	wantIssued(t, f.exchange(photosAPI, subject, "resource", registrytest.Photos, "scope", registrytest.PhotosRead))
}

// A cut-off that ends a token ends what was got for it, although that was issued later.
func TestACutOffEndsWhatWasGotForAnOlderToken(t *testing.T) {
	f := newExchange(t)
	subject := wantIssued(t, f.redeem(credentialsForm("scope", "photos.read"))).AccessToken
	f.now = f.now.Add(time.Minute)
	got := wantIssued(t, f.exchange(photosAPI, subject)).AccessToken
	cutoff := f.now.Add(-30 * time.Second)
	f.withClient(t, registrytest.Nightly, func(c *registry.Client) { c.RevokedBefore = registry.Cutoff(cutoff) })
	for raw, audience := range map[string]string{subject: registrytest.Photos, got: registrytest.Orders} {
		if _, err := f.active(raw, audience); !errors.Is(err, token.ErrInactive) {
			t.Errorf("good at %s: %v", audience, err)
		}
	}
}
