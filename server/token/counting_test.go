package token

import (
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// kubernetesAudience stands for kube-apiserver in these tests.
const kubernetesAudience = "https://kubernetes.default.svc"

func TestResourceOf(t *testing.T) {
	f := newFixture(t)
	config := *f.iss.Config
	config.KubernetesAudiences = []string{kubernetesAudience}
	iss := *f.iss
	iss.Config = &config
	for audience, want := range map[string]bool{registrytest.Photos: true, kubernetesAudience: true, issuerURL: false, "https://gone.demo.svc": false, "": false} {
		r, ok := ResourceOf(&iss, audience)
		if ok != want || ok && (r.Identifier != audience || r.Kubernetes != (audience == kubernetesAudience)) {
			t.Errorf("%q: %+v, %t", audience, r, ok)
		}
	}
}

func TestCountingAudiences(t *testing.T) {
	f := newFixture(t)
	both := []string{registrytest.Orders, registrytest.Photos}
	for name, test := range map[string]struct {
		token, asked, want []string
		change             func(*registry.Client)
	}{
		"in the token, in the order asked": {token: []string{registrytest.Photos, registrytest.Orders}, asked: both, want: both},
		"not in the token":                 {token: []string{registrytest.Photos}, asked: []string{registrytest.Orders}},
		"the issuer":                       {token: []string{issuerURL}, asked: []string{issuerURL}},
		"withdrawn by its owner": {token: both, asked: both, want: both[:1], change: func(c *registry.Client) {
			c.Access = slices.DeleteFunc(slices.Clone(c.Access), func(a registry.Access) bool { return a.Resource.Identifier == registrytest.Photos })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			client := registrytest.Client(t, f.iss, registrytest.PrintShop)
			if test.change != nil {
				test.change(client)
			}
			a := &Active{Access: Access{Audience: test.token}, Client: client}
			if got := a.Counting(f.iss, test.asked); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// A client in its own right is a member of no group, so that what requires one never counts for it.
func TestCountingScopesWithAndWithoutAUser(t *testing.T) {
	f := newFixture(t)
	scopes := []string{oauth.ScopeOpenID, registrytest.PhotosRead, registrytest.PhotosWrite, registrytest.OrdersRead, "unknown"}
	for name, test := range map[string]struct {
		user string
		want []string
	}{
		"a member of the group":     {registrytest.Alice, scopes[:3]},
		"a user who is none":        {registrytest.Bob, scopes[:2]},
		"no user, so a member of 0": {"", scopes[:2]},
	} {
		t.Run(name, func(t *testing.T) {
			a := &Active{Access: Access{Audience: []string{registrytest.Photos}, Scopes: scopes}, Client: registrytest.Client(t, f.iss, registrytest.PrintShop)}
			if test.user != "" {
				a.User = registrytest.User(t, f.iss, test.user)
			}
			if got := a.CountingScopes(f.iss, []string{registrytest.Photos}); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
