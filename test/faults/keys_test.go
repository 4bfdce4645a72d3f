package faults

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/test/apiproxy"
)

// keysOf is the name of the Secret with an issuer's keys.
func keysOf(as *v1alpha1.AuthorizationServer) string { return "latchkey-keys-" + as.Name }

// newIssuer is one beside `default`, at a path of its own.
func newIssuer() *v1alpha1.AuthorizationServer {
	name := "as-" + strings.ToLower(rand.Text()[:10])
	return &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AuthorizationServerSpec{
		Issuer:  strings.Replace(issuer, "127.0.0.1", "localhost", 1) + "/" + name, // not below the other one
		Signing: &v1alpha1.Signing{Algorithms: []v1alpha1.SigningAlgorithm{v1alpha1.ES256, v1alpha1.RS256}},
	}}
}

// keyWitness sees every version of an issuer's keys.
type keyWitness struct {
	mu      sync.Mutex
	created int
	kids    [][]string
}

func watchKeys(t *testing.T, as *v1alpha1.AuthorizationServer) *keyWitness {
	t.Helper()
	seen, err := api.Watch(t.Context(), &corev1.SecretList{}, client.InNamespace(operatorNamespace), client.MatchingFields{"metadata.name": keysOf(as)})
	must(t, err)
	w := &keyWitness{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range seen.ResultChan() {
			w.note(e)
		}
	}()
	t.Cleanup(func() {
		seen.Stop()
		<-done
	})
	return w
}

func (w *keyWitness) note(e watch.Event) {
	s, ok := e.Object.(*corev1.Secret)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Type == watch.Added {
		w.created++
	}
	var content struct {
		Signing []struct {
			KID string `json:"kid"`
		} `json:"signing"`
	}
	var kids []string
	for _, data := range s.Data {
		if json.Unmarshal(data, &content) == nil {
			for _, k := range content.Signing {
				kids = append(kids, k.KID)
			}
		}
	}
	w.kids = append(w.kids, kids)
}

// nothingVanished fails the test unless the Secret was made once and no version of it lacks a key of an earlier one.
func (w *keyWitness) nothingVanished(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.created != 1 || len(w.kids) == 0 || len(w.kids[0]) == 0 {
		t.Errorf("the Secret was made %d times; its keys: %v", w.created, w.kids)
	}
	for i := 1; i < len(w.kids); i++ {
		for _, kid := range w.kids[i-1] {
			if !slices.Contains(w.kids[i], kid) {
				t.Errorf("key %s vanished: %v", kid, w.kids)
			}
		}
	}
}

// kids are those of the issuer's status.
func kids(as *v1alpha1.AuthorizationServer) []string {
	var out []string
	for _, k := range as.Status.Keys {
		out = append(out, k.KID)
	}
	return out
}

func issuerReady(t *testing.T, as *v1alpha1.AuthorizationServer, keys int) {
	t.Helper()
	eventually(t, "the issuer is ready", func(ctx context.Context) (bool, error) {
		err := api.Get(ctx, client.ObjectKeyFromObject(as), as)
		c := meta.FindStatusCondition(as.Status.Conditions, v1alpha1.ConditionReady)
		return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == as.Generation && len(as.Status.Keys) == keys, err
	})
}

// published are the keys that the server publishes for the issuer.
func published(ctx context.Context, as *v1alpha1.AuthorizationServer) ([]string, error) {
	text, err := fetch(ctx, as.Spec.Issuer+"/jwks")
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	err = json.Unmarshal([]byte(text), &set)
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.KID)
	}
	return out, err
}

// signer is the key that a token was signed with.
func signer(t *testing.T, token string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	must(t, err)
	var header struct {
		KID string `json:"kid"`
	}
	must(t, json.Unmarshal(text, &header))
	return header.KID
}

// keyFaults are those of failing for the keys Secret, which has the operator's namespace, and for the issuer's status, which has none.
func keyFaults(c *controller, as *v1alpha1.AuthorizationServer) map[string]func() *apiproxy.Injection {
	inject := func(m apiproxy.Match, times int, fault apiproxy.Fault) func() *apiproxy.Injection {
		return func() *apiproxy.Injection { return c.Inject(m, times, fault) }
	}
	status := apiproxy.To("patch", "authorizationservers/status").Named(as.Name)
	name := keysOf(as)
	secret := apiproxy.Match(func(r apiproxy.Request) bool {
		return r.Resource == "secrets" && r.Namespace == operatorNamespace && r.Verb != "watch" && (r.Name == name || r.Verb == "create")
	})
	both := func(r apiproxy.Request) bool { return status(r) || secret(r) }
	writes := func(r apiproxy.Request) bool { return both(r) && r.Writes() }
	return map[string]func() *apiproxy.Injection{
		"replies to writes are lost": inject(writes, 3, apiproxy.LoseReply()),
		"conflicts on every write":   inject(writes, 10, apiproxy.Conflict()),
		"429 on every call":          inject(both, 3, apiproxy.TooManyRequests()),
		"500 on every call":          inject(both, 10, apiproxy.InternalError()),
		"every call is slow":         inject(both, -1, apiproxy.Delay(slow)),
	}
}

// However the API server fails while an issuer's keys are made and changed: they are made once, none that can have signed vanishes,
// and tokens are issued all the time.
func TestKeysWhileTheAPIServerFails(t *testing.T) {
	t.Parallel()
	c := shared(t)
	for name := range keyFaults(c, newIssuer()) {
		t.Run(name, func(t *testing.T) { // one after the other: creations can't be told from each other by their URL
			as := newIssuer()
			fails := keyFaults(c, as)[name]
			seen := watchKeys(t, as)
			fault := fails()
			must(t, api.Create(t.Context(), as))
			t.Cleanup(func() { must(t, client.IgnoreNotFound(api.Delete(context.WithoutCancel(t.Context()), as))) })
			issuerReady(t, as, 2)
			if fault.Met() == 0 {
				t.Error("the fault met no request")
			}
			fault.Remove()
			n := newTeam(t)
			edit(t, n.resource(), func(r *v1alpha1.ResourceServer) { r.Spec.AuthorizationServerNames = []string{as.Name} })
			ready(t, n.declare(func(c *v1alpha1.OAuthClient) { c.Spec.AuthorizationServerName = as.Name }))
			s, err := n.secret(t.Context())
			must(t, err)
			var token string
			eventually(t, "the issuer gives tokens", func(ctx context.Context) (_ bool, err error) {
				token, err = n.token(ctx, as.Spec.Issuer, string(s.Data["client-secret"]))
				return err == nil, nil
			})
			used := signer(t, token)

			fault = fails()
			edit(t, as, func(as *v1alpha1.AuthorizationServer) {
				as.Spec.Signing.Algorithms = append(as.Spec.Signing.Algorithms, v1alpha1.PS256)
			})
			issuerReady(t, as, 3)
			fault.Remove()
			seen.nothingVanished(t)
			eventually(t, "the server publishes every key", func(ctx context.Context) (bool, error) {
				if _, err := n.token(ctx, as.Spec.Issuer, string(s.Data["client-secret"])); err != nil {
					return false, err
				}
				all, err := published(ctx, as)
				if err == nil && !slices.Contains(all, used) {
					t.Errorf("the key that signed is not published: %v", all)
				}
				return len(all) == 3 && slices.Equal(slices.Sorted(slices.Values(all)), slices.Sorted(slices.Values(kids(as)))), err
			})
		})
	}
	t.Run("they can't be read", c.keysStayInStatus)
}

// keysStayInStatus: what status says of an issuer's keys stays while they can't be read, for they are what they were.
func (c *controller) keysStayInStatus(t *testing.T) {
	as := newIssuer()
	must(t, api.Create(t.Context(), as))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(api.Delete(context.WithoutCancel(t.Context()), as))) })
	issuerReady(t, as, 2)
	before := kids(as)
	fault := c.Inject(apiproxy.To("get", "secrets").Named(keysOf(as)), -1, apiproxy.InternalError())
	edit(t, as, func(as *v1alpha1.AuthorizationServer) { as.Spec.DisplayName = "Seen again" })
	eventually(t, "the failure is told", func(ctx context.Context) (bool, error) {
		err := api.Get(ctx, client.ObjectKeyFromObject(as), as)
		c := meta.FindStatusCondition(as.Status.Conditions, v1alpha1.ConditionReady)
		return c != nil && c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonReconcileFailed, err
	})
	if !slices.Equal(kids(as), before) {
		t.Errorf("status.keys: %v, before: %v", kids(as), before)
	}
	if all, err := published(t.Context(), as); err != nil || len(all) != 2 {
		t.Errorf("the server publishes %v, %v", all, err)
	}
	attempts := len(c.Requests(apiproxy.To("get", "secrets").Named(keysOf(as))))
	wait := time.NewTimer(quiet)
	defer wait.Stop()
	<-wait.C
	if n := len(c.Requests(apiproxy.To("get", "secrets").Named(keysOf(as)))) - attempts; n > few {
		t.Errorf("tried %d times in %v", n, quiet)
	}
	fault.Remove()
	issuerReady(t, as, 2)
}
