package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// rotating is a field for declare: a Generated secret, with further fields.
func rotating(name, fields string) string {
	return "authentication: {clientSecret: {source: Generated, secretName: " + name + ", " + fields + "}}"
}

// rotatingApp is a client of the tenant whose Secret is app-oauth.
func (n tenant) rotatingApp(fields string) *app {
	n.t.Helper()
	n.api("")
	n.declare("app", confidential, redirects(callback), using(n), rotating("app-oauth", fields))
	ready(n.t, n.clients(), "app")
	a := n.withCredentials(&app{t: n.t, issuer: live.Issuer, redirectURI: callback, resource: n.identifier()}, "app-oauth")
	a.isHonoured("orders.read")
	return a
}

// rotate asks for a new secret as an operator does, and waits until the Secret holds it.
func (n tenant) rotate(name, request string) {
	n.t.Helper()
	kubectl(n.t, "", "annotate", "--overwrite", "oauthclient", name, "-n", n.namespace, "oauth.latchkey.io/rotate="+request)
	kubectl(n.t, "", "wait", "oauthclient/"+name, "-n", n.namespace, "--timeout=60s", "--for=jsonpath={.status.lastHandledRotation}="+request)
}

// ids are those of status.secrets, in order.
func (n tenant) ids(ctx context.Context, name string) ([]string, error) {
	_, secrets, err := n.status(ctx, name)
	var out []string
	for _, s := range secrets {
		id, _, _ := unstructured.NestedString(s.(map[string]any), "id")
		out = append(out, id)
	}
	return out, err
}

// load is a client that authenticates without pause, with what it read of its Secret at most so long ago.
type load struct {
	app        app
	namespace  string
	every      time.Duration
	read       time.Time
	sent       atomic.Int64
	mu         sync.Mutex
	failures   []string
	credential map[string]bool
}

func (l *load) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.once(ctx); err != nil && ctx.Err() == nil {
			l.mu.Lock()
			l.failures = append(l.failures, fmt.Sprintf("%s, %v after the Secret was read: %v", time.Now().Format(time.StampMilli), time.Since(l.read), err))
			l.mu.Unlock()
		}
	}
}

func (l *load) once(ctx context.Context) error {
	if time.Since(l.read) >= l.every {
		begin := time.Now()
		secret, err := core.CoreV1().Secrets(l.namespace).Get(ctx, "app-oauth", metav1.GetOptions{})
		if err != nil {
			return err
		}
		l.app.secret, l.read = string(secret.Data["client-secret"]), begin
		l.credential[l.app.secret] = true
	}
	l.sent.Add(1)
	return l.app.proves(ctx)
}

// Under constant load across rotations no request fails: neither of an application that reads its Secret each time, nor of one
// that reads it once in an overlap.
func TestRotationFailsNoRequest(t *testing.T) {
	const overlap, rotations = 20 * time.Second, 3
	n := newTenant(t)
	a := n.rotatingApp("rotation: {overlap: " + overlap.String() + "}")
	eager := &load{app: *a, namespace: n.namespace, credential: map[string]bool{}}
	rare := &load{app: *a, namespace: n.namespace, credential: map[string]bool{}, every: overlap - 2*time.Second}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, l := range []*load{eager, rare} {
		running.Go(func() { l.run(ctx) })
	}
	for i := range rotations {
		n.rotate("app", fmt.Sprint("round-", i))
	}
	stop()
	running.Wait()
	for what, l := range map[string]*load{"reads its Secret each time": eager, "reads it rarely": rare} {
		t.Logf("who %s sent %d requests with %d secrets", what, l.sent.Load(), len(l.credential))
		if len(l.failures) > 0 {
			t.Errorf("who %s was refused %d times, first %s", what, len(l.failures), strings.Join(l.failures[:min(3, len(l.failures))], "; "))
		}
	}
	if len(eager.credential) != rotations+1 || len(rare.credential) < 2 {
		t.Error("the rotations were not seen")
	}
	took := eventually(t, "what was replaced expires", overlap+patience, func(ctx context.Context) (bool, error) {
		ids, err := n.ids(ctx, "app")
		return len(ids) == 1, err
	})
	t.Logf("one secret is left %v after the last rotation", took)
	if err := a.proves(t.Context()); err == nil || err.Error() != "invalid_client" {
		t.Errorf("the first secret, after its overlap: %v", err)
	}
}

func TestRevokedSecretIsRefusedWithinASecond(t *testing.T) {
	n := newTenant(t)
	old := n.rotatingApp("rotation: {overlap: 1h}")
	n.rotate("app", "now")
	current := n.withCredentials(&app{t: t, issuer: live.Issuer, redirectURI: callback, resource: n.identifier()}, "app-oauth")
	if current.secret == old.secret {
		t.Fatal("the Secret holds the same client secret")
	}
	for what, a := range map[string]*app{"the old secret": old, "the new one": current} {
		if err := a.proves(t.Context()); err != nil {
			t.Errorf("%s, in the overlap: %v", what, err)
		}
	}
	ids, err := n.ids(t.Context(), "app")
	if err != nil || len(ids) != 2 {
		t.Fatalf("status.secrets: %v, %v", ids, err)
	}
	revoke := func(a *app, id ...string) {
		t.Helper()
		n.declare("app", confidential, redirects(callback), using(n),
			rotating("app-oauth", "rotation: {overlap: 1h}, revoked: ["+strings.Join(id, ", ")+"]"))
		took := eventually(t, "the revoked secret is refused", time.Second, func(ctx context.Context) (bool, error) {
			err := a.proves(ctx)
			return err != nil && err.Error() == "invalid_client", nil
		})
		t.Logf("refused %v after `kubectl apply` returned", took)
	}
	revoke(old, ids[1])
	if err := current.proves(t.Context()); err != nil {
		t.Errorf("the other secret: %v", err)
	}
	revoke(current, ids...)
	eventually(t, "a new secret took the place of the revoked one", patience, func(ctx context.Context) (bool, error) {
		again := n.withCredentials(&app{t: t, issuer: live.Issuer, redirectURI: callback, resource: n.identifier()}, "app-oauth")
		return again.secret != current.secret && again.proves(ctx) == nil, nil
	})
	left, err := n.ids(t.Context(), "app")
	if err != nil || slices.ContainsFunc(left, func(id string) bool { return slices.Contains(ids, id) }) {
		t.Errorf("status.secrets: %v, %v", left, err)
	}
	ready(t, n.clients(), "app")
}
