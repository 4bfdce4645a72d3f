package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
	"github.com/latchkey-io/latchkey/hack/valkeyserver"
)

var (
	sample = regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? (\S+)$`)
	label  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// samples sums up a metric in Prometheus' text form, by what key makes of its labels. An empty key leaves a sample out.
func samples(t *testing.T, text, metric string, key func(labels map[string]string) string) map[string]float64 {
	t.Helper()
	sums := map[string]float64{}
	for _, match := range sample.FindAllStringSubmatch(text, -1) {
		if match[1] != metric {
			continue
		}
		labels := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(match[2], -1) {
			labels[l[1]] = l[2]
		}
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		if k := key(labels); k != "" {
			sums[k] += value
		}
	}
	return sums
}

// writes are the requests to write that kube-apiserver has counted: all of our own group and of Secrets and their neighbours
// in the core group, whoever sent them and however they ended. The tokens that the environment renews are none of it.
func writes(t *testing.T) map[string]float64 {
	t.Helper()
	text, err := core.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return samples(t, string(text), "apiserver_request_total", func(l map[string]string) string {
		verbs := []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
		if !slices.Contains(verbs, l["verb"]) || l["group"] != "" && l["group"] != "oauth.latchkey.io" || l["resource"] == "" || l["subresource"] == "token" {
			return ""
		}
		return strings.TrimSpace(l["verb"] + " " + l["resource"] + " " + l["subresource"])
	})
}

// storeWrites are the server's own count.
func storeWrites(t *testing.T) map[string]float64 {
	t.Helper()
	return samples(t, serverMetrics(t), "latchkey_store_writes_total", func(l map[string]string) string { return l["verb"] })
}

// serverMetrics are what the server measures, in Prometheus' text form.
func serverMetrics(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, live.Metrics, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, text, err := send(request)
	if err != nil || status != http.StatusOK {
		t.Fatalf("metrics: HTTP %d, %v", status, err)
	}
	return string(text)
}

// quiet waits until all that earlier tests left has been cleaned up, grants that would be swept when they expire among it,
// and nobody has written for a while.
func quiet(t *testing.T) {
	t.Helper()
	const calm = 2 * time.Second
	kubectl(t, "", "delete", "oauthgrants,oauthdeviceauthorizations", "--all", "-n", operatorNamespace)
	last, since := writes(t), time.Now()
	eventually(t, "nobody writes", 3*time.Minute, func(ctx context.Context) (bool, error) {
		namespaces, err := core.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		ending := slices.ContainsFunc(namespaces.Items, func(n corev1.Namespace) bool { return n.DeletionTimestamp != nil })
		if now := writes(t); ending || !maps.Equal(now, last) {
			last, since = now, time.Now()
		}
		return time.Since(since) > calm, nil
	})
}

// difference is what was added.
func difference(before, after map[string]float64) map[string]float64 {
	d := map[string]float64{}
	for key, value := range after {
		if value != before[key] {
			d[key] = value - before[key]
		}
	}
	return d
}

// printShop is OAuthClient print-shop of the samples.
func printShop(t *testing.T) *app {
	t.Helper()
	return tenant{t, sampleNamespace}.withCredentials(
		&app{t: t, issuer: live.LocalIssuer, redirectURI: live.PrintShop + "/callback", resource: "https://photos.demo.svc"}, "print-shop-oauth")
}

// flows is how many code flows are counted the writes of, each with one refresh.
const flows = 5

// counted is what kube-apiserver and the server count while users sign in, consent, and have what they were given redeemed, reviewed,
// refreshed and reviewed again.
func counted(t *testing.T, a *app, who func() *person, service reviewer, scope string) (atKubernetes, own map[string]float64) {
	t.Helper()
	quiet(t)
	before, ownBefore := writes(t), storeWrites(t)
	for range flows {
		first, _ := a.tokens(who(), scope)
		again, err := a.refreshed(t.Context(), first.RefreshToken)
		if err != nil || again.status != http.StatusOK {
			t.Fatalf("refresh: HTTP %d %s, %v", again.status, again.Error, err)
		}
		for _, token := range []string{first.AccessToken, again.AccessToken} {
			service.accepts(token)
			if status := userinfo(t, a, token); status != http.StatusOK {
				t.Fatalf("userinfo answers %d", status)
			}
		}
	}
	atKubernetes, own = difference(before, writes(t)), difference(ownBefore, storeWrites(t))
	t.Logf("%d flows and refreshes: kube-apiserver %v, server %v", flows, atKubernetes, own)
	return atKubernetes, own
}

// A flow with sign-in, consent, redemption, userinfo and review is one write, and a refresh one, in the server's view and in
// kube-apiserver's. That the client's secret is in use has been written, and is for an hour.
func TestCodeFlowIsOneWrite(t *testing.T) {
	a, service := printShopIsTold(t), newReviewer(t, sampleNamespace, "photos", "https://photos.demo.svc")
	atKubernetes, own := counted(t, a, func() *person { return alice(t) }, service, "openid offline_access photos.read")
	if want := map[string]float64{"POST oauthgrants": flows, "PATCH oauthgrants status": flows}; !maps.Equal(atKubernetes, want) {
		t.Errorf("kube-apiserver counted %v, want %v", atKubernetes, want)
	}
	if want := map[string]float64{"create": flows, "patch": flows}; !maps.Equal(own, want) {
		t.Errorf("the server counted %v, want %v", own, want)
	}
}

// The same in Valkey, and kube-apiserver is written nothing at all.
func TestCodeFlowIsOneWriteInValkey(t *testing.T) {
	name := unique()
	issuer := keptIn(t, name, valkeyserver.Start(t, valkeyserver.Options{}).Address)
	n := newTenant(t)
	service := n.api("")
	servers := fmt.Sprintf(`{"spec":{"authorizationServerNames":["default","local",%q]}}`, name)
	kubectl(t, "", "patch", "resourceserver", "orders", "-n", n.namespace, "--type=merge", "--patch", servers)
	user := newUser(t)
	kubectl(t, "", "patch", "localuser", user.name, "--type=merge", "--patch", servers)
	n.declare("app", confidential, at(name), redirects(callback), using(n), generated("app-oauth"))
	kubectl(t, "", "patch", "oauthclient", "app", "-n", n.namespace, "--type=merge", "--patch",
		`{"spec":{"grantTypes":["authorization_code","refresh_token"],"scopes":["openid","offline_access"]}}`)
	ready(t, n.clients(), "app")
	a := n.withCredentials(&app{t: t, issuer: issuer, redirectURI: callback, resource: n.identifier()}, "app-oauth")
	a.tokens(user, "openid offline_access orders.read") // as soon as the server knows all of it
	ids, err := n.ids(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	n.told("app", ids...)
	atKubernetes, own := counted(t, a, func() *person { return user }, service, "openid offline_access orders.read")
	if len(atKubernetes) != 0 {
		t.Errorf("kube-apiserver counted %v", atKubernetes)
	}
	if want := map[string]float64{"create": flows, "update": flows}; !maps.Equal(own, want) {
		t.Errorf("the server counted %v, want %v", own, want)
	}
}

func TestAnonymousFloodWritesNothing(t *testing.T) {
	a := printShopIsTold(t) // who is not anonymous, and whose bad codes are among the flood
	quiet(t)
	before, ownBefore := writes(t), storeWrites(t)
	var workers sync.WaitGroup
	failures := make(chan error, 8)
	for worker := range cap(failures) {
		workers.Go(func() { failures <- flood(t.Context(), a, worker) })
	}
	workers.Wait()
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if d := difference(before, writes(t)); len(d) != 0 {
		t.Errorf("kube-apiserver counted %v", d)
	}
	if d := difference(ownBefore, storeWrites(t)); len(d) != 0 {
		t.Errorf("the server counted %v", d)
	}
}

// flood sends what an anonymous caller can: good and bad authorization requests and codes that nobody made. None of them may
// be answered with a failure of the server's.
func flood(ctx context.Context, a *app, worker int) error {
	for i := range 25 {
		b, err := browser.New(direct.Transport)
		if err != nil {
			return err
		}
		garbage := fmt.Sprintf("garbage-%d-%d", worker, i)
		good, bad := a.ask("openid photos.read"), a.ask(garbage)
		nobody := strings.Replace(good.url, url.QueryEscape(a.id), garbage, 1)
		for _, address := range []string{good.url, bad.url, nobody, a.issuer + "/authorize?" + garbage} {
			page, err := b.Get(ctx, address)
			if err != nil {
				return err
			}
			if page.Status >= http.StatusInternalServerError {
				return fmt.Errorf("%s: HTTP %d", address, page.Status)
			}
		}
		for _, caller := range []*app{a, {issuer: a.issuer, id: garbage}, {issuer: a.issuer, id: a.id, secret: garbage}} {
			answer, err := caller.token(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {garbage}, "redirect_uri": {a.redirectURI}, "code_verifier": {good.verifier}})
			if err != nil {
				return err
			}
			if answer.status >= http.StatusInternalServerError || answer.AccessToken != "" {
				return fmt.Errorf("/token: HTTP %d %s", answer.status, answer.Error)
			}
		}
	}
	return nil
}
