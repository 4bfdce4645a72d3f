package introspect_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/workload/workloadtest"
)

var cluster *workloadtest.Cluster

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{NoControllerManager: true}, func(cp *controlplane.ControlPlane) error {
		var err error
		cluster, err = workloadtest.New(cp)
		return err
	}))
}

// fixture is a server at which the photos' team has declared that Nightly may introspect tokens, and a grant of Alice's to the print
// shop.
type fixture struct {
	*servertest.Server
	t     *testing.T
	grant *store.Grant
	wire  *workloadtest.Wire
}

func newFixture(t *testing.T, change ...func(*server.Config)) *fixture {
	t.Helper()
	callers, wire := cluster.Callers(t, time.Now)
	f := &fixture{t: t, wire: wire}
	f.Server = servertest.StartWith(t, func(c *server.Config) {
		c.Callers = callers
		for _, change := range change {
			change(c)
		}
	})
	iss := f.Issuer("")
	photos, _ := iss.Resources.Get(registrytest.Photos)
	declared := *photos
	declared.Introspectors = []string{registrytest.Nightly, registrytest.Native}
	f.Publish(registrytest.WithResource(iss, &declared))
	f.grant = &store.Grant{
		ID: token.NewID(), AuthorizationServer: iss.Name, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, ExpiresAt: f.Clock.Now().Add(20 * time.Minute), Attempt: token.NewID(),
	}
	if err := f.Grants.Create(t.Context(), f.grant, store.NoLimit); err != nil {
		t.Fatal(err)
	}
	return f
}

// access is a good access token of Alice's for the audiences; none: Photos and userinfo.
func (f *fixture) access(audiences ...string) *token.Access {
	if len(audiences) == 0 {
		audiences = []string{registrytest.Photos, f.URL}
	}
	now := f.Clock.Now().Truncate(time.Second)
	return &token.Access{
		Issuer: f.URL, Subject: registrytest.User(f.t, f.Issuer(""), registrytest.Alice).Subject, ClientID: registrytest.PrintShop, Audience: audiences,
		Scopes: []string{oauth.ScopeOpenID, registrytest.PhotosRead, registrytest.OrdersRead}, ID: token.NewID(), GrantID: f.grant.ID,
		ClientUID: registrytest.PrintShopUID, UserUID: registrytest.AliceUID,
		IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute), AuthTime: now.Add(-time.Minute),
	}
}

func (f *fixture) sign(a *token.Access) string {
	f.t.Helper()
	raw, err := a.Sign(f.Issuer("").Keys, keys.ES256, f.Clock.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

// as is how a caller authenticates.
type as func(*http.Request)

func asClient(id, secret string) as { return func(r *http.Request) { r.SetBasicAuth(id, secret) } }

func asBearer(raw string) as {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+raw) }
}

func asNobody(*http.Request) {}

// nightly is the client that may introspect tokens for Photos.
func nightly() as { return asClient(registrytest.Nightly, registrytest.NightlySecret) }

// service is a ServiceAccount that may review tokens for Photos.
func (f *fixture) service() as {
	f.t.Helper()
	account := cluster.Account(f.t)
	cluster.Allow(f.t, account, "review", "photos")
	return asBearer(cluster.Token(f.t, account, f.URL))
}

type reply struct {
	status int
	header http.Header
	body   string
	claims map[string]any
}

// post sends a form to /introspect.
func (f *fixture) post(caller as, form url.Values, change ...func(*http.Request)) reply {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.URL+"/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", oauth.FormMediaType)
	caller(r)
	for _, c := range change {
		c(r)
	}
	res, err := f.Client().Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it is read to its end
	body, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	out := reply{status: res.StatusCode, header: res.Header, body: string(body)}
	if res.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(body, &out.claims); err != nil {
			f.t.Fatalf("%v in %s", err, body)
		}
	}
	return out
}

// ask introspects a token.
func (f *fixture) ask(caller as, raw string) reply {
	f.t.Helper()
	return f.post(caller, url.Values{"token": {raw}})
}

// wantInactive: nothing is said but that.
func wantInactive(t *testing.T, got reply) {
	t.Helper()
	if got.status != http.StatusOK || got.body != `{"active":false}` {
		t.Errorf("got HTTP %d %s", got.status, got.body)
	}
}

func wantActive(t *testing.T, got reply) {
	t.Helper()
	if got.status != http.StatusOK || got.claims["active"] != true {
		t.Errorf("got HTTP %d %s", got.status, got.body)
	}
}

// wantError: an error that tells nothing of the token.
func wantError(t *testing.T, got reply, status int, code string) {
	t.Helper()
	members := slices.Sorted(maps.Keys(got.claims))
	if got.status != status || got.claims["error"] != code || !slices.Equal(members, []string{"error", "error_description"}) {
		t.Errorf("got HTTP %d %s, want %d %s", got.status, got.body, status, code)
	}
}

// changeClient publishes the issuer with a client changed.
func (f *fixture) changeClient(id string, change func(*registry.Client)) {
	f.t.Helper()
	client := registrytest.Client(f.t, f.Issuer(""), id)
	change(client)
	f.Publish(registrytest.WithClient(f.Issuer(""), client))
}
