package workload_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/workload"
	"github.com/latchkey-io/latchkey/server/workload/workloadtest"
)

// whose fails the test unless the token is that ServiceAccount's; empty: nobody's, for sure.
func whose(t *testing.T, c *workload.Callers, name, raw, want string) {
	t.Helper()
	namespace, account, err := c.ServiceAccount(t.Context(), from, issuer, raw)
	if got := namespace + "/" + account; err != nil || got != want {
		t.Errorf("%s: %s, %v; want %s", name, got, err, want)
	}
}

func TestWhoseTokenItIs(t *testing.T) {
	c, _ := cluster.Callers(t, time.Now, issuer)
	cluster.NamedAccount(t, "shop", "storefront.canary")
	account := cluster.Account(t)
	whose(t, c, "by its name", cluster.Token(t, account, issuer), workloadtest.Namespace+"/"+account)
	whose(t, c, "with dots", cluster.TokenIn(t, "shop", "storefront.canary", issuer), "shop/storefront.canary")
	pods, _ := cluster.PodToken(t, account, issuer)
	whose(t, c, "a pod's", pods, workloadtest.Namespace+"/"+account)
}

// Security: ServiceAccount tokens as client credentials: for another audience, expired, not yet valid, forged, of a ServiceAccount that
// is deleted or of an earlier one of the name. What has the right signature was signed by kube-apiserver's own key.
func TestTokensThatAreNobodys(t *testing.T) {
	c, w := cluster.Callers(t, time.Now, issuer, controlplane.Issuer+"/ours")
	account, gone := cluster.Account(t), cluster.Account(t)
	good, deleted := cluster.Token(t, account, issuer), cluster.Token(t, gone, issuer)
	cluster.Remove(t, gone)
	resigned := func(change func(claims map[string]any)) string { return cluster.Resign(t, good, change) }
	whose(t, c, "the key is kube-apiserver's", resigned(func(c map[string]any) { c["jti"] = "another" }), workloadtest.Namespace+"/"+account)
	for name, test := range map[string]struct {
		raw  string
		asks int
	}{
		"for kube-apiserver":      {cluster.Token(t, account), 0},
		"for another issuer":      {cluster.Token(t, account, other), 0},
		"for an API as well":      {cluster.Token(t, account, issuer, "https://photos.demo.svc"), 0},
		"for none":                {resigned(func(c map[string]any) { delete(c, "aud") }), 0},
		"expired":                 {resigned(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Second).Unix() }), 0},
		"not yet valid":           {resigned(func(c map[string]any) { c["nbf"] = time.Now().Add(time.Hour).Unix() }), 1},
		"of a deleted one":        {deleted, 1},
		"of an earlier one":       {resigned(func(c map[string]any) { ofServiceAccount(c)["uid"] = "an-earlier-one" }), 1},
		"with a broken signature": {good[:len(good)-4] + "AAAA", 1},
		"of an issuer of ours":    {resigned(func(c map[string]any) { c["iss"] = issuer }), 0},
		"of our other issuer":     {resigned(func(c map[string]any) { c["iss"] = controlplane.Issuer + "/ours" }), 0},
		"no JWT":                  {"opaque", 0},
	} {
		before := w.Requests("tokenreviews")
		whose(t, c, name, test.raw, "/")
		if asked := w.Requests("tokenreviews") - before; asked != test.asks {
			t.Errorf("%s: kube-apiserver was asked %d times, want %d", name, asked, test.asks)
		}
	}
}

func ofServiceAccount(claims map[string]any) map[string]any {
	return claims["kubernetes.io"].(map[string]any)["serviceaccount"].(map[string]any)
}

// Security: what is remembered of a token counts no longer than it does; kube-apiserver itself would take it for a minute more.
func TestTokensDieWhenTheyExpire(t *testing.T) {
	now := newClock()
	c, _ := cluster.Callers(t, now.Now, issuer)
	account := cluster.Account(t)
	expiry := now.Now().Add(5 * time.Second)
	raw := cluster.Resign(t, cluster.Token(t, account, issuer), func(c map[string]any) { c["exp"] = expiry.Unix() })
	whose(t, c, "a moment before", raw, workloadtest.Namespace+"/"+account)
	now.advance(5 * time.Second)
	whose(t, c, "from then on", raw, "/")
}

// Security: a token whose pod or ServiceAccount is deleted dies within seconds: ours and kube-apiserver's memory, 10 s each.
func TestTokensDieWithTheirPodAndServiceAccount(t *testing.T) {
	now := newClock()
	c, _ := cluster.Callers(t, now.Now, issuer)
	account, another := cluster.Account(t), cluster.Account(t)
	ofPod, removePod := cluster.PodToken(t, account, issuer)
	ofAccount := cluster.Token(t, another, issuer)
	whose(t, c, "a pod's", ofPod, workloadtest.Namespace+"/"+account)
	whose(t, c, "an account's", ofAccount, workloadtest.Namespace+"/"+another)
	removePod()
	cluster.Remove(t, another)
	for name, raw := range map[string]string{"pod": ofPod, "ServiceAccount": ofAccount} {
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
			now.advance(11 * time.Second) // our memory
			_, left, err := c.ServiceAccount(ctx, from, issuer, raw)
			return left == "", err
		})
		if err != nil {
			t.Errorf("the token of a deleted %s is still good: %v", name, err)
		}
	}
}

// Security: a workload is a ServiceAccount, for one of the audiences, with its UID; kube-apiserver says so and not the token.
func TestWhichWorkloadItIs(t *testing.T) {
	const orders = "https://orders.shop.svc"
	c, _ := cluster.Callers(t, time.Now, issuer)
	account := cluster.Account(t)
	raw := cluster.Token(t, account, orders)
	w, err := c.Workload(t.Context(), from, orders, raw)
	if err != nil || w == nil || w.Namespace != workloadtest.Namespace || w.Name != account || w.UID == "" || w.Called != orders || w.Subject() != "system:serviceaccount:demo:"+account {
		t.Fatalf("%+v, %v", w, err)
	}
	renamed := cluster.Resign(t, raw, func(c map[string]any) { c["sub"] = "system:serviceaccount:demo:other" })
	if again, err := c.Workload(t.Context(), from, orders, renamed); err != nil || again == nil || *again != *w {
		t.Errorf("by the sub of the token: %+v, %v", again, err)
	}
	for name, test := range map[string]struct {
		raw, audience string
	}{
		"at another API":          {raw, photos().Identifier},
		"with a broken signature": {raw[:len(raw)-4] + "AAAA", orders},
		"of an issuer of ours":    {cluster.Resign(t, raw, func(c map[string]any) { c["iss"] = issuer }), orders},
	} {
		if w, err := c.Workload(t.Context(), from, test.audience, test.raw); w != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
	}
}
