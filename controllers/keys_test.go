package controllers_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/authorizationserver"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/keys"
)

// keyring is an issuer of the control plane `still`, a reconciler for it, and a clock.
type keyring struct {
	t          *testing.T
	as         *v1alpha1.AuthorizationServer
	reconciler *authorizationserver.Reconciler
	now        time.Time
}

func newKeyring(t *testing.T, name string) *keyring {
	t.Helper()
	hour, tenMinutes, halfHour := v1alpha1.Duration("1h"), v1alpha1.Duration("10m"), v1alpha1.Duration("30m")
	k := &keyring{t: t, now: time.Now().Truncate(time.Second), as: &v1alpha1.AuthorizationServer{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.AuthorizationServerSpec{
			Issuer:    "https://" + name + ".example.com",
			Signing:   &v1alpha1.Signing{Algorithms: []v1alpha1.SigningAlgorithm{v1alpha1.ES256}, Rotation: &v1alpha1.KeyRotation{Interval: &hour, PublishAhead: &tenMinutes}},
			Lifetimes: &v1alpha1.Lifetimes{Session: &halfHour, AccessToken: &halfHour},
		},
	}}
	k.reconciler = k.another()
	still.create(t, k.as)
	t.Cleanup(func() { deleteWithKeys(t, still, "default", k.as) })
	return k
}

// another is one more controller's reconciler, on the same clock.
func (k *keyring) another() *authorizationserver.Reconciler {
	return &authorizationserver.Reconciler{Client: still.api, Live: still.api, Namespace: "default", Events: still.recorder(k.t), Now: func() time.Time { return k.now }}
}

func (k *keyring) reconcile() ctrl.Result {
	k.t.Helper()
	result, err := k.reconciler.Reconcile(k.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(k.as)})
	must(k.t, err)
	must(k.t, still.api.Get(k.t.Context(), client.ObjectKeyFromObject(k.as), k.as))
	return result
}

func (k *keyring) secret() *corev1.Secret {
	k.t.Helper()
	return still.secret(k.t, "default", compile.KeysSecretPrefix+k.as.Name)
}

func (k *keyring) set() *keys.Set {
	k.t.Helper()
	set, err := compile.ParseKeys(k.secret())
	must(k.t, err)
	return set
}

func (k *keyring) states() map[string]v1alpha1.KeyState {
	out := map[string]v1alpha1.KeyState{}
	for _, s := range k.as.Status.Keys {
		out[s.KID] = s.State
	}
	return out
}

func TestKeysArePublishedThenUsedThenRetiredThenRemoved(t *testing.T) {
	k := newKeyring(t, "rotating")
	k.reconcile()
	first, err := k.set().Signer(keys.ES256, k.now)
	must(t, err)
	published, used, removed := map[string]time.Time{first.KID: k.now}, map[string]time.Time{}, map[string]bool{}
	lastUse := map[string]time.Time{}
	for end := k.now.Add(5 * time.Hour); k.now.Before(end); k.now = k.now.Add(5 * time.Minute) {
		k.reconcile()
		set, states := k.set(), k.states()
		signer, err := set.Signer(keys.ES256, k.now)
		must(t, err)
		if states[signer.KID] != v1alpha1.KeyActive {
			t.Fatalf("the key that signs is %q in status", states[signer.KID])
		}
		for _, key := range set.Signing() {
			if _, known := published[key.KID]; !known {
				published[key.KID] = k.now
				if states[key.KID] != v1alpha1.KeyPublished {
					t.Errorf("a new key is %q", states[key.KID])
				}
			}
		}
		if _, known := used[signer.KID]; !known {
			used[signer.KID] = k.now
			if ahead := k.now.Sub(published[signer.KID]); signer.KID != first.KID && ahead < 10*time.Minute {
				t.Errorf("a key signs %v after it was published", ahead)
			}
		}
		lastUse[signer.KID] = k.now
		for kid, last := range lastUse {
			if _, still := set.Verifier(kid); !still {
				removed[kid] = true
				if k.now.Sub(last) < 30*time.Minute {
					t.Errorf("a key is gone %v after it signed, when sessions last 30m", k.now.Sub(last))
				}
			} else if kid != signer.KID && states[kid] != v1alpha1.KeyRetired {
				t.Errorf("a key that signs no more is %q", states[kid])
			}
		}
	}
	if len(used) < 4 || len(removed) < 3 {
		t.Errorf("%d keys were used and %d removed in 5 hours", len(used), len(removed))
	}
}

func TestReconcileAsksToBeCalledWhenKeysChange(t *testing.T) {
	k := newKeyring(t, "alarm")
	again := k.reconcile().RequeueAfter
	if again <= 0 || again > 50*time.Minute {
		t.Fatalf("next look after %v", again)
	}
	before := len(k.as.Status.Keys)
	k.now = k.now.Add(again)
	k.reconcile()
	if len(k.as.Status.Keys) != before+1 {
		t.Errorf("%d keys, then %d", before, len(k.as.Status.Keys))
	}
}

func TestTwoControllersAtOnceLoseNoKeys(t *testing.T) {
	k := newKeyring(t, "contended")
	reconcilers := []*authorizationserver.Reconciler{k.another(), k.another(), k.another()}
	every := k.follow()
	var salt string
	for end := k.now.Add(4 * time.Hour); k.now.Before(end); k.now = k.now.Add(10 * time.Minute) {
		var group sync.WaitGroup
		for _, r := range reconcilers {
			group.Go(func() {
				if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(k.as)}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		set := k.set()
		if now := set.Subject("local", "alice"); salt == "" {
			salt = now
		} else if now != salt {
			t.Fatal("the salt was lost: every sub has changed")
		}
		// Any version of the Secret may have been read by a server, which publishes its keys and signs with them.
		for kid, key := range every(k.secret().ResourceVersion) {
			if _, found := set.Verifier(kid); !found && (key.RetiredAt.IsZero() || k.now.Before(key.RetiredAt.Add(30*time.Minute))) {
				t.Fatalf("a key that was stored for use from %v to %v is lost at %v", key.ActiveAt, key.RetiredAt, k.now)
			}
		}
		unretired := slices.DeleteFunc(slices.Clone(set.Signing()), func(key *keys.SigningKey) bool { return !key.RetiredAt.IsZero() })
		if len(unretired) != 1 {
			t.Errorf("%d keys without successor: each controller made its own", len(unretired))
		}
	}
}

// follow watches the issuer's Secret. The function it returns gives all keys that were in any version up to the given one, as they
// were last seen.
func (k *keyring) follow() func(resourceVersion string) map[string]*keys.SigningKey {
	k.t.Helper()
	clients, err := kubernetes.NewForConfig(still.cp.RESTConfig())
	must(k.t, err)
	selector := metav1.ListOptions{FieldSelector: "metadata.name=" + compile.KeysSecretPrefix + k.as.Name}
	watch, err := clients.CoreV1().Secrets("default").Watch(k.t.Context(), selector)
	must(k.t, err)
	k.t.Cleanup(watch.Stop)
	seen, at := map[string]*keys.SigningKey{}, ""
	return func(resourceVersion string) map[string]*keys.SigningKey {
		for at != resourceVersion {
			select {
			case event := <-watch.ResultChan():
				secret, ok := event.Object.(*corev1.Secret)
				if !ok {
					k.t.Fatalf("the watch ended: %v", event)
				}
				set, err := compile.ParseKeys(secret)
				must(k.t, err)
				for _, key := range set.Signing() {
					seen[key.KID] = key
				}
				at = secret.ResourceVersion
			case <-time.After(30 * time.Second):
				k.t.Fatal("the watch does not get to the present version")
			}
		}
		return seen
	}
}

func TestUnreadableKeysAreNeverWrittenOver(t *testing.T) {
	k := newKeyring(t, "unreadable")
	k.reconcile()
	secret := k.secret()
	good := secret.Data[compile.KeysSecretKey]
	secret.Data[compile.KeysSecretKey] = good[:len(good)/2]
	must(t, still.api.Update(t.Context(), secret))
	k.reconcile()
	if !says(k.as.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonKeysNotReady) ||
		!says(k.as.Status.Conditions, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonKeysNotReady) {
		t.Errorf("conditions: %+v", k.as.Status.Conditions)
	}
	if k.secret().ResourceVersion != secret.ResourceVersion {
		t.Error("the Secret was written")
	}
	secret.Data[compile.KeysSecretKey] = good
	must(t, still.api.Update(t.Context(), secret))
	k.reconcile()
	if !says(k.as.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady) {
		t.Errorf("conditions after the Secret was restored: %+v", k.as.Status.Conditions)
	}
}

func TestIssuerAppliedAgainKeepsItsKeys(t *testing.T) {
	k := newKeyring(t, "reapplied")
	k.reconcile()
	before := k.set().Subject("local", "alice")
	if refs := k.secret().OwnerReferences; len(refs) != 0 {
		t.Fatalf("the keys would be deleted with the issuer: %v", refs)
	}
	again := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: k.as.Name}, Spec: k.as.Spec}
	must(t, still.api.Delete(t.Context(), k.as))
	still.create(t, again)
	k.as = again
	k.reconcile()
	if k.set().Subject("local", "alice") != before {
		t.Error("every sub has changed")
	}
}

func TestShorterLifetimesDoNotCutRetiredKeysShort(t *testing.T) {
	k := newKeyring(t, "shortened")
	k.reconcile()
	first, err := k.set().Signer(keys.ES256, k.now)
	must(t, err)
	minute := v1alpha1.Duration("1m")
	k.now = k.now.Add(56 * time.Minute) // the first key is about to retire
	k.reconcile()
	k.as.Spec.Lifetimes = &v1alpha1.Lifetimes{Session: &minute, AccessToken: &minute, IDToken: &minute}
	must(t, still.api.Update(t.Context(), k.as))
	k.reconcile()
	k.now = k.now.Add(25 * time.Minute)
	k.reconcile()
	if _, found := k.set().Verifier(first.KID); !found {
		t.Error("a token signed 25 minutes ago, for 30, has lost its key")
	}
	k.now = k.now.Add(time.Hour)
	k.reconcile()
	if _, found := k.set().Verifier(first.KID); found {
		t.Error("the key is kept for ever")
	}
}

func TestStatusOfTheDefaultIssuerIsComplete(t *testing.T) {
	as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	eventually(t, "Ready", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(as), as)
		return says(as.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady), err
	})
	want := v1alpha1.Endpoints{
		Authorization: defaultIssuer + "/authorize", Token: defaultIssuer + "/token", Userinfo: defaultIssuer + "/userinfo", JWKS: defaultIssuer + "/jwks",
		Introspection: defaultIssuer + "/introspect", Revocation: defaultIssuer + "/revoke", EndSession: defaultIssuer + "/logout",
		DeviceAuthorization: defaultIssuer + "/device_authorization", Discovery: defaultIssuer + "/.well-known/openid-configuration",
	}
	if !as.Status.Default || as.Status.Endpoints == nil || *as.Status.Endpoints != want {
		t.Errorf("status: %+v", as.Status)
	}
	if len(as.Status.Keys) != 2 {
		t.Errorf("keys: %+v", as.Status.Keys)
	}
}

// deleteWithKeys removes an issuer, and its keys, which stay on purpose otherwise.
func deleteWithKeys(t *testing.T, s site, namespace string, as *v1alpha1.AuthorizationServer) {
	t.Helper()
	ctx := context.Background()
	must(t, s.api.Delete(ctx, as))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: compile.KeysSecretPrefix + as.Name}}
	must(t, client.IgnoreNotFound(s.api.Delete(ctx, secret)))
}
