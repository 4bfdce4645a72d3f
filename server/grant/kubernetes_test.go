package grant

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
)

const kubernetesAudience = "https://kubernetes.default.svc"

// newKubernetes is an issuer whose print shop, nightly job and photos API may have tokens for kube-apiserver.
func newKubernetes(t *testing.T) *fixture {
	t.Helper()
	f := newExchange(t)
	config := *f.iss.Config
	config.KubernetesAudiences = []string{kubernetesAudience}
	f.iss.Config = &config
	for _, id := range []string{registrytest.PrintShop, registrytest.Nightly, photosAPI} {
		f.withClient(t, id, func(c *registry.Client) {
			scopes := []*registry.Scope{{Name: oauth.ScopeKubernetes}}
			resource := &registry.Resource{Identifier: kubernetesAudience, Kubernetes: true, Algorithm: keys.ES256, Scopes: scopes}
			c.Access = append(slices.Clone(c.Access), registry.Access{Resource: resource, Scopes: scopes})
		})
	}
	return f
}

// forKubernetes is an access token that Alice lets the print shop have for kube-apiserver, and for userinfo.
func (f *fixture) forKubernetes(t *testing.T) issued {
	t.Helper()
	code := f.code()
	code.Scopes = []string{oauth.ScopeOpenID}
	code.Targets = []store.Target{at(kubernetesAudience, oauth.ScopeKubernetes)}
	return wantIssued(t, f.redeem(form(f.seal(t, code))))
}

// kubernetesClaim is what a token says for kube-apiserver; nil for nothing.
func kubernetesClaim(t *testing.T, raw string) any {
	t.Helper()
	own, ok := claims(t, raw)[oauth.ClaimLatchkey].(map[string]any)
	if !ok {
		return nil
	}
	return own["kubernetes"]
}

func TestTokensForKubernetesSayWhoseTheyAre(t *testing.T) {
	f := newKubernetes(t)
	alices := f.forKubernetes(t)
	want := map[string]any{"username": registrytest.Alice, "uid": registrytest.AliceUID, "groups": []any{registrytest.Family}}
	if got := kubernetesClaim(t, alices.AccessToken); !reflect.DeepEqual(got, want) {
		t.Errorf("Alice's: %v", got)
	}
	own := wantIssued(t, f.redeem(credentialsForm("resource", kubernetesAudience))).AccessToken
	want = map[string]any{"username": "client:demo:nightly", "uid": registrytest.NightlyUID}
	if got := kubernetesClaim(t, own); !reflect.DeepEqual(got, want) {
		t.Errorf("a client's own: %v", got)
	}
	code := f.code()
	code.Targets = append(code.Targets, at(kubernetesAudience, oauth.ScopeKubernetes))
	redeem := form(f.seal(t, code))
	redeem.Set("resource", registrytest.Photos)
	photos := wantIssued(t, f.redeem(redeem)).AccessToken
	exchanged := wantIssued(t, f.exchange(photosAPI, photos, "resource", kubernetesAudience, "scope", oauth.ScopeKubernetes)).AccessToken
	want = map[string]any{"username": registrytest.Alice, "uid": registrytest.AliceUID, "groups": []any{registrytest.Family}, "actors": []any{photosAPI}}
	if got := kubernetesClaim(t, exchanged); !reflect.DeepEqual(got, want) {
		t.Errorf("got by exchange: %v", got)
	}
}

// What a token says for kube-apiserver is nobody else's business, and would make every API's token look like one of kube-apiserver's.
func TestOtherTokensSayNothingForKubernetes(t *testing.T) {
	f := newKubernetes(t)
	code := f.code()
	code.Scopes = []string{oauth.ScopeOpenID}
	forPhotos := wantIssued(t, f.redeem(form(f.seal(t, code))))
	code = f.code()
	code.Scopes, code.Targets = []string{oauth.ScopeOpenID}, nil
	forUserinfo := wantIssued(t, f.redeem(form(f.seal(t, code))))
	for name, raw := range map[string]string{
		"for an API":                           forPhotos.AccessToken,
		"for userinfo":                         forUserinfo.AccessToken,
		"of a client's own, for an API":        wantIssued(t, f.redeem(credentialsForm("scope", registrytest.PhotosRead))).AccessToken,
		"an ID token":                          forPhotos.IDToken,
		"an ID token beside kube-apiserver's":  f.forKubernetes(t).IDToken,
		"got by exchange, for an API":          wantIssued(t, f.exchange(photosAPI, f.alices(t))).AccessToken,
		"an ID token of a sign-in and no more": forUserinfo.IDToken,
	} {
		if got := kubernetesClaim(t, raw); got != nil {
			t.Errorf("a token %s says %v", name, got)
		}
	}
}

// With some of the groups left out, kube-apiserver would decide otherwise by the token than by asking about it.
func TestATokenForKubernetesSaysAllOrNothing(t *testing.T) {
	f := newKubernetes(t)
	f.withAlice(t, func(u *registry.User) {
		for n := range 128 {
			u.Groups = append(u.Groups, fmt.Sprintf("%0128d", n))
		}
	})
	raw := f.forKubernetes(t).AccessToken
	if got := kubernetesClaim(t, raw); got != nil {
		t.Errorf("it says %v", got)
	}
	a, err := f.active(raw, kubernetesAudience)
	if err != nil {
		t.Fatal(err)
	}
	if user, err := a.KubernetesUser(); err != nil || len(user.Groups) != 129 {
		t.Errorf("who asks is told %+v, %v", user, err)
	}
	if !strings.Contains(f.log.String(), "without_kubernetes_claim") {
		t.Errorf("nobody is told: %s", f.log)
	}
}
