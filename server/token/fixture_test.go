package token

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
)

const issuerURL = "https://login.example.com"

// fixture is an issuer with one grant of Alice's to the print shop, and a verifier that reads it.
type fixture struct {
	now      time.Time
	iss      *registry.Issuer
	grants   *memory.Store
	grant    *store.Grant
	verifier *Verifier
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	f.iss = registrytest.Issuer(t, issuerURL, f.now)
	f.grants = memory.New(f.clock)
	f.grant = &store.Grant{
		ID: NewID(), AuthorizationServer: f.iss.Name, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, ExpiresAt: f.now.Add(20 * time.Minute),
	}
	if err := f.grants.Create(t.Context(), f.grant, store.NoLimit); err != nil {
		t.Fatal(err)
	}
	f.verifier = &Verifier{Grants: f.grants, SignOuts: memory.NewSignOuts(f.clock), Now: f.clock, Seen: NewSeen()}
	return f
}

func (f *fixture) clock() time.Time { return f.now }

// access is a good access token for Photos.
func (f *fixture) access() *Access {
	u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
	return &Access{
		Issuer: f.iss.URL, Subject: u.Subject, ClientID: registrytest.PrintShop, Audience: []string{registrytest.Photos, f.iss.URL},
		Scopes: []string{oauth.ScopeOpenID, registrytest.PhotosRead}, ID: NewID(), GrantID: f.grant.ID,
		ClientUID: registrytest.PrintShopUID, UserUID: registrytest.AliceUID,
		IssuedAt: f.now, ExpiresAt: f.now.Add(10 * time.Minute), AuthTime: f.now.Add(-time.Minute),
	}
}

func (f *fixture) sign(t testing.TB, a *Access) string {
	t.Helper()
	raw, err := a.Sign(f.iss.Keys, keys.ES256, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (f *fixture) active(raw string, audiences ...string) (*Active, error) {
	if audiences == nil {
		audiences = []string{registrytest.Photos}
	}
	return f.verifier.Active(context.Background(), f.iss, raw, audiences)
}

// forge signs any header and claims with the issuer's own key of the algorithm, so that nothing but the rule under test can
// refuse the token.
func (f *fixture) forge(t testing.TB, alg keys.Algorithm, header, claims map[string]any) string {
	t.Helper()
	key, err := f.iss.Keys.Signer(alg, f.now)
	if err != nil {
		t.Fatal(err)
	}
	text := segment(t, header) + "." + segment(t, claims)
	sig, err := jwt.GetSigningMethod(string(alg)).Sign(text, key.Private)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func segment(t testing.TB, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(body)
}

// decode returns header and claims of a token as they stand on the wire.
func decode(t testing.TB, raw string) (header, claims map[string]any) {
	t.Helper()
	tok, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(raw, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	return tok.Header, tok.Claims.(jwt.MapClaims)
}

// parts are the header and claims of a good token, for a test to change and forge.
func (f *fixture) parts(t testing.TB, alg keys.Algorithm) (header, claims map[string]any) {
	t.Helper()
	raw, err := f.access().Sign(f.iss.Keys, alg, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, raw)
}
