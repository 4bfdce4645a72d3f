package clientauth

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// uses notes what an Authenticator tells of client secrets.
type uses []string

func (u *uses) Used(c *registry.Client, secretID string, now time.Time) {
	*u = append(*u, c.UID+" "+secretID+" "+now.Format(time.RFC3339))
}

// A use of a secret is told with the id of that which matched, and only where it let the client in.
func TestUsesOfSecretsAreTold(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example.com", testNow())
	declared := func(secretID string, expiresAt time.Time) registry.Secret {
		return registry.Secret{ID: secretID, ExpiresAt: expiresAt, Digest: iss.Keys.ClientDigest(registrytest.PrintShopUID, secretID, expiresAt, "secret-"+secretID)}
	}
	c := registrytest.Client(t, iss, id)
	c.Secrets = []registry.Secret{
		declared("current", time.Time{}), declared("previous", testNow().Add(time.Hour)), declared("expired", testNow()), declared("last", testNow().Add(time.Second)),
	}
	at := " " + testNow().Format(time.RFC3339)
	signs := *c
	signs.Assertion = &registry.Assertion{}
	account := *c
	account.ServiceAccounts = []string{"print-shop"}
	public := *c
	public.Public = true
	for name, test := range map[string]struct {
		client *registry.Client
		header string
		want   []string
	}{
		"the current one":             {c, basic(id, "secret-current"), []string{registrytest.PrintShopUID + " current" + at}},
		"the one before":              {c, basic(id, "secret-previous"), []string{registrytest.PrintShopUID + " previous" + at}},
		"the last one":                {c, basic(id, "secret-last"), []string{registrytest.PrintShopUID + " last" + at}},
		"an expired one":              {c, basic(id, "secret-expired"), nil},
		"a wrong one":                 {c, basic(id, "secret-wrong"), nil},
		"that of nobody":              {c, basic("demo.nobody", "secret-current"), nil},
		"of a client that signs":      {&signs, basic(id, "secret-current"), nil},
		"of a ServiceAccount":         {&account, basic(id, "secret-current"), nil},
		"of a public client":          {&public, basic(id, "secret-current"), nil},
		"a client that has no secret": {c, basic(registrytest.Native, "secret-current"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			here := *iss
			here.Clients = iss.Clients.With(map[string]*registry.Client{id: test.client})
			r := httptest.NewRequest(http.MethodPost, "/token", nil)
			r.Header.Set("Authorization", test.header)
			var told uses
			caller, err := New(Config{SecretUses: &told}).Authenticate(r, nil, &here, testNow())
			if (err == nil) != (test.want != nil) || (err == nil) != (caller.Client == test.client) {
				t.Errorf("got %+v, %v", caller, err)
			}
			if !slices.Equal(told, test.want) {
				t.Errorf("told %v, want %v", told, test.want)
			}
		})
	}
}
