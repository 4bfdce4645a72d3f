package controllers_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/oauthclient"
	"github.com/latchkey-io/latchkey/server/storage"
)

// publication is how long a client secret is in status before the Secret holds it.
const publication = 10 * time.Second

// rotation is a client of the control plane `still`, with controllers that come and go, on a clock that the test sets.
type rotation struct {
	t     *testing.T
	c     *v1alpha1.OAuthClient
	as    *v1alpha1.AuthorizationServer
	clock atomic.Int64 // seconds
	pokes int
}

func newRotation(t *testing.T, declared *v1alpha1.SecretRotation) *rotation {
	t.Helper()
	name := strings.ToLower(t.Name())
	r := &rotation{t: t, as: &v1alpha1.AuthorizationServer{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AuthorizationServerSpec{Issuer: "https://" + name + ".example.com"},
	}}
	r.clock.Store(time.Now().Unix())
	still.create(t, r.as)
	t.Cleanup(func() { deleteWithKeys(t, still, "default", r.as) })
	r.c = &v1alpha1.OAuthClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: still.namespace(t, nil), Name: "storefront"},
		Spec: v1alpha1.OAuthClientSpec{
			AuthorizationServerName: name,
			Type:                    v1alpha1.ClientConfidential, GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode},
			RedirectURIs: []v1alpha1.RedirectURI{"https://shop.example/callback"},
			Authentication: &v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecret{
				Source: v1alpha1.SecretGenerated, SecretName: "oauth", Rotation: declared}},
		},
	}
	still.create(t, r.c)
	t.Cleanup(func() { must(t, client.IgnoreNotFound(still.api.Delete(context.Background(), r.c))) })
	return r
}

func (r *rotation) now() time.Time { return time.Unix(r.clock.Load(), 0).UTC() }

// controller runs a whole controller until it is killed.
func (r *rotation) controller() (kill func()) {
	r.t.Helper()
	return r.controllerAt(still.cp.RESTConfig())
}

func (r *rotation) controllerAt(api *rest.Config) (kill func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- controllers.Run(ctx, controllers.Config{
			REST: api, Namespace: "default", HealthBindAddress: "0", ServingSecret: servingSecret, ReviewAddress: reviewAddress, Now: r.now, Logger: logr.Discard(),
			CheckStorage: storage.Check, PurgeStorage: storage.Purge,
		})
	}()
	var killed atomic.Bool
	kill = func() {
		if killed.CompareAndSwap(false, true) {
			cancel()
			must(r.t, <-ended)
		}
	}
	r.t.Cleanup(kill)
	return kill
}

// later sets the clock and has the client looked at.
func (r *rotation) later(d time.Duration) {
	r.t.Helper()
	r.clock.Add(int64(d / time.Second))
	r.poke()
}

func (r *rotation) poke() {
	r.t.Helper()
	r.pokes++
	change(r.t, still, r.c, func(c *v1alpha1.OAuthClient) { metav1.SetMetaDataLabel(&c.ObjectMeta, "poke", fmt.Sprint(r.pokes)) })
}

func (r *rotation) request(value string) {
	r.t.Helper()
	change(r.t, still, r.c, func(c *v1alpha1.OAuthClient) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationRotate, value)
	})
}

func (r *rotation) secret() *corev1.Secret {
	r.t.Helper()
	return still.secret(r.t, r.c.Namespace, "oauth")
}

func (r *rotation) value() string { r.t.Helper(); return string(r.secret().Data["client-secret"]) }

// entry is that of status for a client secret; nil when there is none with a digest that counts now.
func (r *rotation) entry(value string) *v1alpha1.ClientSecretStatus {
	r.t.Helper()
	set, err := compile.ParseKeys(still.secret(r.t, "default", compile.KeysSecretPrefix+r.as.Name))
	must(r.t, err)
	must(r.t, still.api.Get(r.t.Context(), client.ObjectKeyFromObject(r.c), r.c))
	for i := range r.c.Status.Secrets {
		s := &r.c.Status.Secrets[i]
		var expiry time.Time
		if s.ExpiresAt != nil {
			expiry = s.ExpiresAt.Time
		}
		digest := set.ClientDigest(string(r.c.UID), s.ID, expiry, value)
		if s.Digest == base64.RawURLEncoding.EncodeToString(digest[:]) && (expiry.IsZero() || r.now().Before(expiry)) {
			return s
		}
	}
	return nil
}

// settles waits until there are so many secrets in status, and the client is honoured with what its Secret holds.
func (r *rotation) settles(what string, secrets int) {
	r.t.Helper()
	eventually(r.t, what, func() (bool, error) {
		value := r.value() // read before status, as an application does
		honoured := r.entry(value) != nil
		return honoured && len(r.c.Status.Secrets) == secrets, nil
	})
}

// recorded is the part of the Secret that is Latchkey's own.
func (r *rotation) recorded() (next string, previous []string) {
	r.t.Helper()
	var record struct {
		Next     struct{ Value string }
		Previous []struct{ Value string }
	}
	if text := r.secret().Data[".latchkey"]; text != nil {
		must(r.t, json.Unmarshal(text, &record))
	}
	for _, p := range record.Previous {
		previous = append(previous, p.Value)
	}
	return record.Next.Value, previous
}

// loseStatus is what a backup does that is restored without status.
func (r *rotation) loseStatus() {
	r.t.Helper()
	eventually(r.t, "lose the status", func() (bool, error) {
		must(r.t, still.api.Get(r.t.Context(), client.ObjectKeyFromObject(r.c), r.c))
		r.c.Status = v1alpha1.OAuthClientStatus{}
		err := still.api.Status().Update(r.t.Context(), r.c)
		return err == nil, ignoreConflict(err)
	})
}

// told waits for an Event of the client, which must not hold the secrets.
func (r *rotation) told(reason string, secrets ...string) {
	r.t.Helper()
	eventually(r.t, "Event "+reason, func() (bool, error) {
		var list eventsv1.EventList
		err := still.api.List(r.t.Context(), &list, client.InNamespace(r.c.Namespace))
		return err == nil && slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
			for _, s := range secrets {
				if strings.Contains(e.Note, s) {
					r.t.Errorf("a secret is in an Event: %s", e.Note)
				}
			}
			return e.Reason == reason && e.Regarding.UID == r.c.UID
		}), err
	})
}

func length(d v1alpha1.Duration) *v1alpha1.Duration { return &d }

// A rotation on schedule goes on from wherever the controller was killed, with its status lost as well, and no secret with it.
func TestRotationSurvivesControllersThatAreKilled(t *testing.T) {
	r := newRotation(t, &v1alpha1.SecretRotation{Interval: length("1h"), Overlap: length("10m")})
	kill := r.controller()
	eventually(t, "the Secret is there", func() (bool, error) {
		must(t, still.api.Get(t.Context(), client.ObjectKeyFromObject(r.c), r.c))
		return len(r.c.Status.Secrets) == 1, nil
	})
	first := r.value()
	r.later(59 * time.Minute)
	r.settles("not due yet", 1)

	r.later(time.Minute)
	r.settles("the successor is published", 2)
	kill()
	next, _ := r.recorded()
	if r.value() != first || next == "" || r.entry(next) == nil || r.entry(next).ExpiresAt != nil {
		t.Fatalf("status: %+v", r.c.Status.Secrets)
	}

	r.loseStatus()
	r.clock.Add(3600)
	kill = r.controller()
	r.settles("both are published again", 2)
	if r.value() != first || r.entry(next) == nil {
		t.Error("the successor was handed out before it was published, or lost")
	}
	r.poke()
	r.later(publication - time.Second)
	r.settles("still being published", 2)
	if r.value() != first {
		t.Error("the successor was handed out before every server knew it")
	}
	eventually(t, "the successor is handed out", func() (bool, error) {
		r.later(time.Second)
		return r.value() == next, nil
	})
	kill() // wherever it is now

	if r.entry(next) == nil || r.entry(first) == nil {
		t.Errorf("a secret is not honoured: %+v", r.c.Status.Secrets)
	}
	r.loseStatus()
	kill = r.controller()
	eventually(t, "the status is made again from the Secret", func() (bool, error) {
		old := r.entry(first)
		return r.entry(next) != nil && old != nil && old.ExpiresAt != nil, nil
	})
	if got := r.entry(first).ExpiresAt.Sub(r.now()); got > 10*time.Minute || got < 9*time.Minute {
		t.Errorf("the old secret expires in %v", got)
	}
	kill()
	r.clock.Add(600)
	if r.entry(first) != nil {
		t.Error("without a controller, the old secret is valid for ever")
	}
	r.controller()
	eventually(t, "the old secret is forgotten", func() (bool, error) {
		_, previous := r.recorded()
		return r.entry(next) != nil && len(previous) == 0 && len(r.c.Status.Secrets) <= 2, nil
	})
}

// Two controllers work at once here, as they may for a moment when the leader changes.
func TestAnnotationRotatesOnceAndIsLeftAlone(t *testing.T) {
	r := newRotation(t, nil)
	r.controller()
	r.controller()
	eventually(t, "ready", func() (bool, error) {
		must(t, still.api.Get(t.Context(), client.ObjectKeyFromObject(r.c), r.c))
		return len(r.c.Status.Secrets) == 1, nil
	})
	first := r.value()
	handled := func(value string) {
		t.Helper()
		r.request(value)
		r.settles("the successor is published", 2)
		if r.c.Status.LastHandledRotation == value {
			t.Error("said to be handled before it was")
		}
		r.poke() // seen by now
		eventually(t, "handled", func() (bool, error) {
			r.later(publication)
			must(t, still.api.Get(t.Context(), client.ObjectKeyFromObject(r.c), r.c))
			return r.c.Status.LastHandledRotation == value, nil
		})
	}
	handled("one")
	second := r.value()
	if second == first || r.entry(second) == nil || r.entry(first) == nil || r.entry(first).ExpiresAt == nil {
		t.Errorf("status: %+v", r.c.Status.Secrets)
	}
	r.told("RotationStarted", first, second)
	r.told("SecretRotated", first, second)
	written := r.secret().ResourceVersion
	r.later(time.Hour)
	r.settles("nothing more to do", 2)
	if r.secret().ResourceVersion != written || r.value() != second {
		t.Error("one value of the annotation rotates more than once")
	}
	for _, entry := range r.c.ManagedFields {
		if entry.Manager == "latchkey-controller" && entry.Subresource != "status" {
			t.Errorf("the controller writes the client itself: %s", entry.FieldsV1)
		}
	}
	if r.c.Annotations[v1alpha1.AnnotationRotate] != "one" {
		t.Error("the annotation was changed")
	}
	r.later(24 * time.Hour)
	r.settles("the default overlap is over", 1)
}

// Who makes the Secret immutable has no rotation, and is told; but the application goes on.
func TestImmutableSecretIsToldAndStaysValid(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	secret := running.secret(t, c.Namespace, "storefront-oauth")
	value, yes := string(secret.Data["client-secret"]), true
	change(t, running, secret, func(s *corev1.Secret) { s.Immutable = &yes })
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationRotate, "now")
	})
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
	becomes(t, c, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSecretInvalid)
	if !vouches(t, c, value) || c.Status.LastHandledRotation != "" {
		t.Errorf("status: %+v", c.Status)
	}
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Revoked = []v1alpha1.ClientSecretID{v1alpha1.ClientSecretID(c.Status.Secrets[0].ID)}
	})
	eventually(t, "it is revoked all the same", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return len(c.Status.Secrets) == 0, err
	})
	must(t, running.api.Delete(t.Context(), secret))
	becomesReady(t, c)
}

// A Secret that was restored by hand may have another type, and Kubernetes lets nobody change it.
func TestSecretOfAnotherTypeIsMadeAnewWithWhatItHolds(t *testing.T) {
	value := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	for name, beside := range map[string]*corev1.Secret{
		"at once":                  nil,
		"where an attempt was cut": {ObjectMeta: metav1.ObjectMeta{Name: "storefront-oauth-latchkey-aside"}, Data: map[string][]byte{"client-secret": []byte("of earlier")}},
	} {
		t.Run(name, func(t *testing.T) {
			c := storefront(t)
			ours := map[string]string{"app.kubernetes.io/managed-by": "latchkey", oauthclient.LabelClient: c.Name}
			restored := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth", Labels: ours},
				Type:       corev1.SecretTypeOpaque,
				Data:       map[string][]byte{"client-secret": []byte(value), "theirs": []byte("kept")},
			}
			if beside != nil {
				beside.Namespace, beside.Labels = c.Namespace, ours
				running.create(t, beside)
			}
			running.create(t, restored, c)
			becomesReady(t, c)
			now := running.secret(t, c.Namespace, restored.Name)
			if now.Type != "servicebinding.io/oauth2" || string(now.Data["client-secret"]) != value || string(now.Data["theirs"]) != "kept" || !vouches(t, c, value) {
				t.Errorf("%s %+v", now.Type, c.Status.Secrets)
			}
			kept := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth-latchkey-aside"}}
			eventually(t, "nothing is left aside", running.gone(t, kept))
		})
	}
}

// The controller was killed when the Secret was deleted and not made again yet.
func TestWhatWasKeptAsideIsFound(t *testing.T) {
	c := storefront(t)
	value := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	kept := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth-latchkey-aside",
			Labels: map[string]string{"app.kubernetes.io/managed-by": "latchkey", oauthclient.LabelClient: c.Name}},
		Data: map[string][]byte{"client-secret": []byte(value)},
	}
	running.create(t, kept, c)
	becomesReady(t, c)
	if got := string(running.secret(t, c.Namespace, "storefront-oauth").Data["client-secret"]); got != value || !vouches(t, c, value) {
		t.Error("the client secret is another one")
	}
}

func TestRevokedClientSecretIsReplacedAtOnce(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	value, id := string(running.secret(t, c.Namespace, "storefront-oauth").Data["client-secret"]), c.Status.Secrets[0].ID
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Revoked = []v1alpha1.ClientSecretID{v1alpha1.ClientSecretID(id)}
	})
	eventually(t, "another secret", func() (bool, error) {
		now := string(running.secret(t, c.Namespace, "storefront-oauth").Data["client-secret"])
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return now != value && vouches(t, c, now), err
	})
}

func TestExistingSecretOverlaps(t *testing.T) {
	c := storefront(t, existing, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Rotation = &v1alpha1.SecretRotation{Overlap: length("10s")}
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}, Data: map[string][]byte{"client-secret": []byte("the first secret")}}
	running.create(t, secret, c)
	becomesReady(t, c)
	first := c.Status.Secrets[0].ID
	change(t, running, secret, func(s *corev1.Secret) { s.Data["client-secret"] = []byte("the second secret") })
	eventually(t, "both", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return len(c.Status.Secrets) == 2, err
	})
	old := c.Status.Secrets[1]
	if old.ID != first || old.ExpiresAt == nil || time.Until(old.ExpiresAt.Time) > 11*time.Second {
		t.Fatalf("%+v", c.Status.Secrets)
	}
	set, err := compile.ParseKeys(running.secret(t, operatorNamespace, compile.KeysSecretPrefix+"default"))
	must(t, err)
	digest := set.ClientDigest(string(c.UID), first, old.ExpiresAt.Time, "the first secret")
	if old.Digest != base64.RawURLEncoding.EncodeToString(digest[:]) {
		t.Error("the digest is not that of the secret which was there before")
	}
	eventually(t, "the overlap is over", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return vouches(t, c, "the second secret"), err
	})
}

// What a tenant makes of the entries that are believed for the overlap ends with it, at the latest.
func TestOverlapOfAnExistingSecretCannotBeExtended(t *testing.T) {
	c := storefront(t, existing, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Rotation = &v1alpha1.SecretRotation{Overlap: length("1h")}
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}, Data: map[string][]byte{"client-secret": []byte("the first secret")}}
	running.create(t, secret, c)
	becomesReady(t, c)
	change(t, running, secret, func(s *corev1.Secret) { s.Data["client-secret"] = []byte("the second secret") })
	eventually(t, "both", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return len(c.Status.Secrets) == 2, err
	})
	eventually(t, "tamper", func() (bool, error) {
		must(t, running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		c.Status.Secrets[1].ExpiresAt = &metav1.Time{Time: time.Now().Add(1000 * time.Hour)}
		err := running.api.Status().Update(t.Context(), c)
		return err == nil, ignoreConflict(err)
	})
	eventually(t, "what was extended is gone", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return vouches(t, c, "the second secret"), err
	})
}

func TestRevokedExistingSecretIsWaitedToBeReplaced(t *testing.T) {
	c := storefront(t, existing)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}, Data: map[string][]byte{"client-secret": []byte("the first secret")}}
	running.create(t, secret, c)
	becomesReady(t, c)
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Revoked = []v1alpha1.ClientSecretID{v1alpha1.ClientSecretID(c.Status.Secrets[0].ID)}
	})
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionFalse, v1alpha1.ReasonSecretRevoked)
	becomes(t, c, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSecretRevoked)
	if len(c.Status.Secrets) != 0 {
		t.Errorf("status.secrets: %+v", c.Status.Secrets)
	}
	change(t, running, secret, func(s *corev1.Secret) { s.Data["client-secret"] = []byte("the second secret") })
	becomesReady(t, c)
	if !vouches(t, c, "the second secret") {
		t.Errorf("status.secrets: %+v", c.Status.Secrets)
	}
}

func TestRevokedPredecessorOfAnExistingSecretEndsAtOnce(t *testing.T) {
	c := storefront(t, existing, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Rotation = &v1alpha1.SecretRotation{Overlap: length("1h")}
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}, Data: map[string][]byte{"client-secret": []byte("the first secret")}}
	running.create(t, secret, c)
	becomesReady(t, c)
	first := c.Status.Secrets[0].ID
	change(t, running, secret, func(s *corev1.Secret) { s.Data["client-secret"] = []byte("the second secret") })
	eventually(t, "both", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return len(c.Status.Secrets) == 2, err
	})
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Revoked = []v1alpha1.ClientSecretID{v1alpha1.ClientSecretID(first)}
	})
	eventually(t, "the first is gone", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return vouches(t, c, "the second secret"), err
	})
}
