package serviceaccounts

import (
	"context"
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

// Security: a ServiceAccount token as subject: for another audience, for the issuer, for several, of nobody in particular, expired,
// forged, of another cluster, deleted → 400 invalid_request; about what can't be one, kube-apiserver is not asked.
func TestExchangeOfServiceAccountTokensThatAreNoGood(t *testing.T) {
	s := newExchange(t, cluster)
	cluster.NamedAccount(t, workloadtest.Namespace, "default")
	good := cluster.Token(t, s.account, registrytest.Photos)
	gone := cluster.Account(t)
	deleted := cluster.Token(t, gone, registrytest.Photos)
	cluster.Remove(t, gone)
	resigned := func(change func(claims map[string]any)) string { return cluster.Resign(t, good, change) }
	elsewhere, err := registrytest.Keys(t, s.Clock.Now()).Signer(keys.ES256, s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	self := assertiontest.Claims("system:serviceaccount:demo:"+s.account, registrytest.Photos, s.Clock.Now())
	self["iss"] = "https://another.cluster.example"
	for name, test := range map[string]struct {
		raw  string
		asks int
	}{
		"for another API":                 {cluster.Token(t, s.account, registrytest.Orders), 0},
		"for the issuer":                  {cluster.Token(t, s.account, s.URL), 0},
		"for the API and the issuer":      {cluster.Token(t, s.account, registrytest.Photos, s.URL), 0},
		"for two APIs":                    {cluster.Token(t, s.account, registrytest.Photos, registrytest.Orders), 0},
		"for kube-apiserver":              {cluster.Token(t, s.account), 0},
		"for kube-apiserver, declared":    {cluster.Token(t, s.account, apiserver), 0},
		"for none":                        {resigned(func(c map[string]any) { delete(c, "aud") }), 0},
		"without an end":                  {resigned(func(c map[string]any) { delete(c, "exp") }), 0},
		"expired":                         {resigned(func(c map[string]any) { c["exp"] = s.Clock.Now().Unix() }), 0},
		"of this issuer":                  {resigned(func(c map[string]any) { c["iss"] = s.URL }), 0},
		"of another issuer of this one's": {resigned(func(c map[string]any) { c["iss"] = s.URL + "/other" }), 0},
		"garbage":                         {"garbage", 0},
		"not yet valid":                   {resigned(func(c map[string]any) { c["nbf"] = time.Now().Add(time.Hour).Unix() }), 1},
		"of default":                      {cluster.Token(t, "default", registrytest.Photos), 1},
		"deleted":                         {deleted, 1},
		"of another cluster":              {assertiontest.Sign(t, elsewhere, nil, self), 1},
		"unsigned":                        {assertiontest.Unsigned(t, map[string]any{"alg": "none"}, self), 1},
		"a broken signature":              {good[:len(good)-4] + "AAAA", 1},
	} {
		before := s.wire.Requests("tokenreviews")
		s.notExchanged(name, test.raw, oauth.InvalidRequest)
		if asked := s.wire.Requests("tokenreviews") - before; asked != test.asks {
			t.Errorf("%s: kube-apiserver was asked %d times, want %d", name, asked, test.asks)
		}
	}
	s.exchanged(good)
}

// Security: a ServiceAccount token is exchanged by a client that the API's owner names, and that proves itself.
func TestExchangeOfServiceAccountTokensByWhoMayNot(t *testing.T) {
	s := newExchange(t, cluster)
	raw := cluster.Token(t, s.account, registrytest.Photos)
	s.notExchanged("with another secret", raw, oauth.InvalidClient, "client_secret", "wrong")
	s.notExchanged("another API's", raw, oauth.InvalidRequest, "client_id", ordersAPI, "resource", registrytest.Photos, "scope", registrytest.PhotosRead)
	s.notExchanged("without the grant type", raw, oauth.UnauthorizedClient, "client_id", registrytest.Nightly, "client_secret", registrytest.NightlySecret)
	s.change(registrytest.Native, func(c *registry.Client) { c.GrantTypes = append(c.GrantTypes, oauth.GrantTokenExchange) })
	s.resource(registrytest.Photos, func(r *registry.Resource) { r.Exchangers = []string{registrytest.Native} })
	s.notExchanged("a public one", raw, oauth.UnauthorizedClient, "client_id", registrytest.Native, "client_secret", "")
	s.notExchanged("named yesterday", raw, oauth.InvalidRequest)
	if asked := s.wire.Requests("tokenreviews"); asked != 0 {
		t.Errorf("kube-apiserver was asked %d times", asked)
	}
}

// Security: an issuer that accepts some namespaces gives nothing to workloads of others, and takes nothing that they had been given.
func TestExchangeForWorkloadsOfNamespacesThatAreNotAccepted(t *testing.T) {
	s := newExchange(t, cluster)
	cluster.NamedAccount(t, "shop", s.account)
	allow := func(namespaces ...string) {
		config := *s.Issuer("").Config
		config.Namespaces = map[string]struct{}{}
		for _, name := range namespaces {
			config.Namespaces[name] = struct{}{}
		}
		s.configure(config)
	}
	raw, other := cluster.Token(t, s.account, registrytest.Photos), cluster.TokenIn(t, "shop", s.account, registrytest.Photos)
	s.exchanged(other)
	got := s.exchanged(raw).string("access_token")
	allow(workloadtest.Namespace)
	s.exchanged(raw)
	s.notExchanged("of another namespace", other, oauth.InvalidRequest)
	allow("shop")
	s.notExchanged("accepted no more", raw, oauth.InvalidRequest)
	if told := s.introspected(got); told["error"] != string(oauth.TemporarilyUnavailable) {
		t.Errorf("what another replica may have given a moment ago: %v", told)
	}
	s.Clock.Advance(31 * time.Second)
	if told := s.introspected(got); told["active"] != false {
		t.Errorf("what was given before is still good: %v", told)
	}
}

// Security: no token is got any more for one whose pod or ServiceAccount is deleted; what was got before ends in 5 minutes.
func TestExchangeEndsWithPodAndServiceAccount(t *testing.T) {
	s := newExchange(t, cluster)
	account := cluster.Account(t)
	ofPod, removePod := cluster.PodToken(t, s.account, registrytest.Photos)
	ofAccount := cluster.Token(t, account, registrytest.Photos)
	s.exchanged(ofPod)
	last := s.exchanged(ofAccount).string("access_token")
	removePod()
	cluster.Remove(t, account)
	cluster.NamedAccount(t, workloadtest.Namespace, account)
	for name, raw := range map[string]string{"pod": ofPod, "ServiceAccount": ofAccount} {
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
			s.Clock.Advance(2100 * time.Millisecond) // of our memory; the token lives for 10 minutes by this clock
			return s.exchange(raw).string("error") == string(oauth.InvalidRequest), nil
		})
		if err != nil {
			t.Fatalf("the token of a deleted %s is still exchanged: %v", name, err)
		}
	}
	s.Clock.Advance(5 * time.Minute)
	if told := s.introspected(last); told["active"] != false {
		t.Errorf("what was got before lives on: %v", told)
	}
}

// Security: while kube-apiserver is away, nobody knows: 503 temporarily_unavailable, never invalid_request.
func TestExchangeWhileKubeAPIServerIsAway(t *testing.T) {
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
	s := newExchange(t, alone)
	known, unknown := alone.Token(t, s.account, registrytest.Photos), alone.Token(t, s.account, registrytest.Photos)
	s.exchanged(known)
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	s.exchanged(known) // a moment ago it was good
	s.notExchanged("unknown", unknown, oauth.TemporarilyUnavailable)
	s.notExchanged("forged", unknown[:len(unknown)-4]+"AAAA", oauth.TemporarilyUnavailable)
	s.notExchanged("for another API", alone.Resign(t, known, func(c map[string]any) { c["aud"] = registrytest.Orders }), oauth.InvalidRequest)
	s.Clock.Advance(11 * time.Second)
	s.notExchanged("known before", known, oauth.TemporarilyUnavailable)
}
