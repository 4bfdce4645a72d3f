package serviceaccounts

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/clientauth/assertiontest"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/workload/workloadtest"
)

// Security: ServiceAccount token as client assertion: wrong audience, wrong namespace, ServiceAccount not named, `default`, expired,
// forged, deleted → 401 invalid_client, and one answer for all.
func TestServiceAccountTokenAttacks(t *testing.T) {
	cluster.NamedAccount(t, workloadtest.Namespace, "default")
	s := newSite(t, cluster, "default")
	cluster.NamedAccount(t, "shop", s.account)
	good := s.good(cluster)
	gone := cluster.Account(t)
	s.declare(s.account, "default", gone)
	deleted := cluster.Token(t, gone, s.URL)
	cluster.Remove(t, gone)
	foreign, err := registrytest.Keys(t, s.Clock.Now()).Signer(keys.ES256, s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	self := assertiontest.Claims("system:serviceaccount:demo:"+s.account, s.URL, s.Clock.Now())
	for name, raw := range map[string]string{
		"for kube-apiserver":                cluster.Token(t, s.account),
		"for another service":               cluster.Token(t, s.account, "https://vault.example.com"),
		"for another issuer of this server": cluster.Token(t, s.account, s.URL+"/other"),
		"for an API as well":                cluster.Token(t, s.account, s.URL, registrytest.Photos),
		"for the token endpoint":            cluster.Token(t, s.account, s.URL+"/token"),
		"the same name, another namespace":  cluster.TokenIn(t, "shop", s.account, s.URL),
		"not named":                         cluster.Token(t, cluster.Account(t), s.URL),
		"default, although named":           cluster.Token(t, "default", s.URL),
		"deleted":                           deleted,
		"expired":                           cluster.Resign(t, good, func(c map[string]any) { c["exp"] = time.Now().Add(-time.Second).Unix() }),
		"a broken signature":                good[:len(good)-4] + "AAAA",
		"signed by somebody":                assertiontest.Sign(t, foreign, nil, self),
		"unsigned":                          assertiontest.Unsigned(t, map[string]any{"alg": "none"}, self),
	} {
		s.wantEverywhere(name, raw, http.StatusUnauthorized, oauth.InvalidClient)
	}
	s.wantEverywhere("good", good, http.StatusOK, "")
}

// Security: a token whose iss is ours is never sent to kube-apiserver, which would ask us; nor is one that is shown for a client that is
// not declared so, or is not there.
func TestKubeAPIServerIsNotAsked(t *testing.T) {
	s := newSite(t, cluster)
	raw := s.good(cluster)
	s.change(registrytest.Nightly, func(c *registry.Client) { c.Namespace = workloadtest.Namespace })
	for _, issuer := range []string{s.URL, s.URL + "/other"} {
		ours := cluster.Resign(t, raw, func(c map[string]any) { c["iss"] = issuer })
		s.wantEverywhere("of "+issuer, ours, http.StatusUnauthorized, oauth.InvalidClient)
	}
	for _, id := range []string{"demo.nobody", registrytest.Native, registrytest.Nightly} {
		s.wantEverywhere("of client "+id, raw, http.StatusUnauthorized, oauth.InvalidClient, "client_id", id)
	}
	if got := s.present("/token", raw, "client_id", ""); got.status != http.StatusUnauthorized || got.string("error") != "invalid_client" {
		t.Errorf("without client_id: %d %s", got.status, got.text)
	}
	if got := s.present("/token", raw, "client_secret", "x"); got.status != http.StatusBadRequest || got.string("error") != "invalid_request" {
		t.Errorf("two methods: %d %s", got.status, got.text)
	}
	if n := s.wire.Requests("tokenreviews"); n != 0 {
		t.Errorf("kube-apiserver was asked %d times", n)
	}
}

// Security: a client that is a ServiceAccount is nothing else: neither a secret of an earlier spec, nor none, nor an assertion of its own.
func TestServiceAccountIsTheOnlyCredential(t *testing.T) {
	s := newSite(t, cluster)
	s.change(registrytest.PrintShop, func(c *registry.Client) {
		c.Secrets = []registry.Secret{{ID: "one", Digest: s.Issuer("").Keys.ClientDigest(c.UID, "one", time.Time{}, registrytest.PrintShopSecret)}}
	})
	without := []string{"client_assertion", "", "client_assertion_type", ""}
	s.wantEverywhere("a secret", "", http.StatusUnauthorized, oauth.InvalidClient, append(slices.Clone(without), "client_secret", registrytest.PrintShopSecret)...)
	s.wantEverywhere("nothing", "", http.StatusUnauthorized, oauth.InvalidClient, without...)
	key, err := registrytest.Keys(t, s.Clock.Now()).Signer(keys.ES256, s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	assertion := assertiontest.Sign(t, key, nil, assertiontest.Claims(registrytest.PrintShop, s.URL, s.Clock.Now()))
	s.wantEverywhere("an assertion of its own", assertion, http.StatusUnauthorized, oauth.InvalidClient)
}

// Security: tokens bound to a deleted pod, and those of a deleted ServiceAccount, die: what this server remembers after 10 s by its
// clock, which the test moves, and what kube-apiserver remembers after 10 s more, which the test waits for.
func TestServiceAccountTokensDieWithPodAndServiceAccount(t *testing.T) {
	other := cluster.Account(t)
	s := newSite(t, cluster, other)
	ofPod, removePod := cluster.PodToken(t, s.account, s.URL)
	ofAccount := cluster.Token(t, other, s.URL)
	s.wantEverywhere("a pod's", ofPod, http.StatusOK, "")
	s.wantEverywhere("a ServiceAccount's", ofAccount, http.StatusOK, "")
	removePod()
	cluster.Remove(t, other)
	for name, raw := range map[string]string{"pod": ofPod, "ServiceAccount": ofAccount} {
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
			s.Clock.Advance(11 * time.Second)
			e := endpoints()[0]
			return s.present(e.path, raw, e.form...).status == http.StatusUnauthorized, nil
		})
		if err != nil {
			t.Fatalf("the token of a deleted %s is still good: %v", name, err)
		}
		s.wantEverywhere("of a deleted "+name, raw, http.StatusUnauthorized, oauth.InvalidClient)
	}
}

// Security: while kube-apiserver is away, nobody knows: 503 temporarily_unavailable, never invalid_client.
func TestServiceAccountsWhileKubeAPIServerIsAway(t *testing.T) {
	cp, err := controlplane.Start(t.Context(), controlplane.Options{NoControllerManager: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	alone, err := workloadtest.New(cp)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, alone)
	known, unknown := s.good(alone), alone.Token(t, s.account, s.URL)
	forged := unknown[:len(unknown)-4] + "AAAA"
	s.wantEverywhere("before", known, http.StatusOK, "")
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	s.wantEverywhere("known a moment ago", known, http.StatusOK, "")
	s.wantEverywhere("unknown", unknown, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable)
	s.wantEverywhere("forged", forged, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable)
	s.Clock.Advance(11 * time.Second)
	s.wantEverywhere("known before", known, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable)
	if err := cp.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantEverywhere("known again", known, http.StatusOK, "")
	s.wantEverywhere("unknown until now", unknown, http.StatusOK, "")
	s.wantEverywhere("forged as before", forged, http.StatusUnauthorized, oauth.InvalidClient)
}
