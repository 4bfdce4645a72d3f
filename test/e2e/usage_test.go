package e2e

import (
	"context"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// usage is when the secrets of a client were used last, by their ids.
func (n tenant) usage(ctx context.Context, name string) (map[string]time.Time, error) {
	o, err := n.clients().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	entries, _, err := unstructured.NestedSlice(o.Object, "status", "secretUsage")
	used := map[string]time.Time{}
	for _, e := range entries {
		id, _, _ := unstructured.NestedString(e.(map[string]any), "id")
		text, _, _ := unstructured.NestedString(e.(map[string]any), "lastUsedTime")
		if used[id], err = time.Parse(time.RFC3339, text); err != nil {
			return nil, err
		}
	}
	return used, err
}

// told waits until status tells of just those secrets, and that they were used a moment ago. It returns when.
func (n tenant) told(name string, ids ...string) map[string]time.Time {
	n.t.Helper()
	var last map[string]time.Time
	defer func() {
		if n.t.Failed() {
			n.t.Logf("status.secretUsage: %v, of %v", last, ids)
		}
	}()
	took := eventually(n.t, "the use of the secrets is told", patience, func(ctx context.Context) (_ bool, err error) {
		last, err = n.usage(ctx, name)
		return slices.Equal(slices.Sorted(maps.Keys(last)), slices.Sorted(slices.Values(ids))), err
	})
	n.t.Logf("told after %v", took)
	return last
}

// printShopIsTold has the secret of the sample client used and waits until its status tells so, which is then quiet for an hour.
func printShopIsTold(t *testing.T) *app {
	t.Helper()
	a, n := printShop(t), tenant{t, sampleNamespace}
	if err := a.proves(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids, err := n.ids(t.Context(), "print-shop")
	if err != nil {
		t.Fatal(err)
	}
	n.told("print-shop", ids...)
	return a
}

// Whoever rotates a secret sees whether the one before is still needed.
func TestLastUseOfEachSecretIsTold(t *testing.T) {
	begin := time.Now().Truncate(time.Second)
	n := newTenant(t)
	old := n.rotatingApp("rotation: {overlap: 1h}")
	first, err := n.ids(t.Context(), "app")
	if err != nil || len(first) != 1 {
		t.Fatalf("status.secrets: %v, %v", first, err)
	}
	n.told("app", first...)
	n.rotate("app", "now")
	both, err := n.ids(t.Context(), "app")
	if err != nil || len(both) != 2 || both[1] != first[0] {
		t.Fatalf("status.secrets: %v, %v", both, err)
	}
	if used := n.told("app", first...); used[both[0]] != (time.Time{}) {
		t.Errorf("the new secret was used: %v", used)
	}
	current := n.withCredentials(&app{t: t, issuer: live.Issuer, redirectURI: callback, resource: n.identifier()}, "app-oauth")
	for what, a := range map[string]*app{"the new secret": current, "the old one": old} {
		if err := a.proves(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for id, at := range n.told("app", both...) {
		if at.Before(begin) || at.After(time.Now()) {
			t.Errorf("%s was used at %v", id, at)
		}
	}
	out := kubectl(t, "", "get", "oauthclient", "app", "-n", n.namespace, "-o", `jsonpath={range .status.secretUsage[*]}{.id} {.lastUsedTime}{"\n"}{end}`)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[0], both[0]+" 20") || !strings.HasPrefix(lines[1], both[1]+" 20") {
		t.Errorf("kubectl prints %q", out)
	}
	if out := kubectl(t, "", "describe", "oauthclient", "app", "-n", n.namespace); !strings.Contains(out, "Secret Usage:") || strings.Count(out, "Last Used Time:") != 2 {
		t.Errorf("kubectl describes it as %s", out)
	}
	n.declare("app", confidential, redirects(callback), using(n), rotating("app-oauth", "rotation: {overlap: 1h}, revoked: ["+both[1]+"]"))
	n.told("app", both[0])
	ready(t, n.clients(), "app")
}

// What a server knows and status does not say yet is written when it is told to end, as at each upgrade.
func TestLastUseIsToldAtTheEnd(t *testing.T) {
	name, issuer := newIssuer(t)
	n := newTenant(t)
	n.declare("app", confidential, at(name), redirects(callback), generated("app-oauth"))
	ready(t, n.clients(), "app")
	a := n.withCredentials(&app{t: t, issuer: issuer, redirectURI: callback}, "app-oauth")
	server, _ := startServer(t, issuer, "--secret-usage-delay=1h") // nothing is written before the end
	begin := time.Now().Truncate(time.Second)
	eventually(t, "the server takes the client's secret", patience, func(ctx context.Context) (bool, error) {
		return a.proves(ctx) == nil, server.Failure()
	})
	if used, err := n.usage(t.Context(), "app"); err != nil || len(used) != 0 {
		t.Errorf("told before the end: %v, %v", used, err)
	}
	if err := server.Stop(patience); err != nil {
		t.Fatal(err)
	}
	ids, err := n.ids(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	used, err := n.usage(t.Context(), "app")
	if err != nil || len(used) != 1 || used[ids[0]].Before(begin) || used[ids[0]].After(time.Now()) {
		t.Errorf("told once the server has ended: %v, %v; the secret's id is %v", used, err, ids)
	}
}

// newIssuer declares an issuer on plain http at a port of its own, where nobody serves it yet.
func newIssuer(t *testing.T) (name, issuer string) {
	t.Helper()
	name, issuer = unique(), "http://"+freeAddress(t)
	apply(t, "{apiVersion: oauth.latchkey.io/v1alpha1, kind: AuthorizationServer, metadata: {name: "+name+"}, spec: {issuer: '"+issuer+"'}}")
	atEnd(t, "delete", "authorizationserver", name)
	ready(t, resource("authorizationservers", ""), name)
	return name, issuer
}

// startServer starts one more server, at an issuer's address.
func startServer(t *testing.T, issuer string, args ...string) (server *process.Process, health string) {
	t.Helper()
	state, health := filepath.Dir(live.CA), freeAddress(t)
	server, err := process.Start(process.Options{
		Name: "a server of the test's", Path: filepath.Join(state, "bin", "latchkey"), LogFile: filepath.Join(t.TempDir(), "server.log"),
		Args: append([]string{
			"server", "--kubeconfig=" + filepath.Join(state, "run", "latchkey-server.kubeconfig"), "--namespace=" + operatorNamespace,
			"--http-bind-address=" + strings.TrimPrefix(issuer, "http://"), "--health-bind-address=" + health,
			"--bind-address=" + freeAddress(t), "--review-bind-address=" + freeAddress(t),
		}, args...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(patience); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(server.Tail())
		}
	})
	return server, "http://" + health
}

// freeAddress is one of the loopback interface that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Times in status written by hand are corrected, with the rights that the server has and nothing else to remember them by.
func TestUsageWrittenByHandIsCorrected(t *testing.T) {
	n := newTenant(t)
	n.rotatingApp("rotation: {overlap: 1h}")
	ids, err := n.ids(t.Context(), "app")
	if err != nil || len(ids) != 1 {
		t.Fatalf("status.secrets: %v, %v", ids, err)
	}
	honest := n.told("app", ids...)
	withoutPolicies(t)
	for what, usage := range map[string]string{
		"the future": `[{"id":"` + ids[0] + `","lastUsedTime":"2525-01-01T00:00:00Z"}]`, "the past": `[{"id":"` + ids[0] + `","lastUsedTime":"1999-01-01T00:00:00Z"}]`,
		"nothing": `null`, "a secret that is none": `[{"id":"mine","lastUsedTime":"2026-01-01T00:00:00Z"}]`,
	} {
		if _, err := n.clients().Patch(t.Context(), "app", types.MergePatchType, []byte(`{"status":{"secretUsage":`+usage+`}}`), metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
		took := eventually(t, what+" is corrected", enforced, func(ctx context.Context) (bool, error) {
			now, err := n.usage(ctx, "app")
			return len(now) == 1 && !now[ids[0]].Before(honest[ids[0]]) && now[ids[0]].Before(time.Now().Add(time.Minute)), err
		})
		t.Logf("%s: corrected after %v", what, took)
	}
}
