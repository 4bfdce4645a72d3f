package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/oauthgrant"
)

func grant(namespace, name string, expires time.Time) *v1alpha1.OAuthGrant {
	return &v1alpha1.OAuthGrant{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.OAuthGrantSpec{
		AuthorizationServerName: "default", ClientID: "shop.storefront", ClientUID: "1", User: v1alpha1.GrantUser{Name: "alice", UID: "2"},
		AuthTime: metav1.NewTime(expires.Add(-time.Hour)), IssuedAt: metav1.NewMicroTime(expires.Add(-time.Hour)), ExpiresAt: metav1.NewTime(expires), Attempt: "a",
	}}
}

func names(t *testing.T, namespace string) map[string]bool {
	t.Helper()
	var list v1alpha1.OAuthGrantList
	must(t, still.api.List(t.Context(), &list, client.InNamespace(namespace)))
	out := map[string]bool{}
	for _, g := range list.Items {
		out[g.Name] = true
	}
	return out
}

func TestSweeperDeletesGrantsAMinuteAfterTheyExpire(t *testing.T) {
	namespace, elsewhere := still.namespace(t, nil), still.namespace(t, nil)
	now := time.Now().Truncate(time.Second)
	still.create(t,
		grant(namespace, "alive", now.Add(time.Second)),
		grant(namespace, "expired-just-now", now.Add(-59*time.Second)),
		grant(namespace, "expired", now.Add(-61*time.Second)),
		grant(elsewhere, "expired", now.Add(-time.Hour)))
	s := &oauthgrant.Sweeper{Client: still.api, Live: still.api, Namespace: namespace, Now: func() time.Time { return now }, Logger: logr.Discard()}
	deleted, err := s.Sweep(t.Context())
	must(t, err)
	left := names(t, namespace)
	if deleted != 1 || len(left) != 2 || left["expired"] {
		t.Errorf("%d deleted, left: %v", deleted, left)
	}
	if !names(t, elsewhere)["expired"] {
		t.Error("an object outside the operator's namespace was deleted")
	}
}

// A grant that was refreshed lives for as long as its status says, and no longer.
func TestSweeperGoesByTheExpiryOfARefreshedGrant(t *testing.T) {
	namespace := still.namespace(t, nil)
	now := time.Now().Truncate(time.Second)
	refreshed := func(name string, expires time.Time) {
		g := grant(namespace, name, now.Add(-time.Hour))
		until, at, expiry := metav1.NewTime(now.Add(720*time.Hour)), metav1.NewTime(now.Add(-2*time.Hour)), metav1.NewTime(expires)
		g.Spec.RefreshUntil = &until
		still.create(t, g)
		g.Status = v1alpha1.OAuthGrantStatus{Generation: 2, RotatedAt: &at, ExpiresAt: &expiry}
		must(t, still.api.Status().Update(t.Context(), g))
	}
	refreshed("alive", now.Add(-59*time.Second))
	refreshed("left-alone", now.Add(-61*time.Second))
	s := &oauthgrant.Sweeper{Client: still.api, Live: still.api, Namespace: namespace, Now: func() time.Time { return now }, Logger: logr.Discard()}
	deleted, err := s.Sweep(t.Context())
	must(t, err)
	if left := names(t, namespace); deleted != 1 || !left["alive"] || left["left-alone"] {
		t.Errorf("%d deleted, left: %v", deleted, left)
	}
}

// A revoked grant is kept while a code or an access token of its could be presented, by the issuer's word, and no longer.
func TestSweeperDeletesRevokedGrantsWhenTheirTokensAreOver(t *testing.T) {
	namespace := still.namespace(t, nil)
	now := time.Now().Truncate(time.Second)
	issuer := func(name string, accessToken v1alpha1.Duration) {
		as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AuthorizationServerSpec{
			Issuer: "https://" + name + ".example.com", Lifetimes: &v1alpha1.Lifetimes{AccessToken: &accessToken},
		}}
		still.create(t, as)
		t.Cleanup(func() { must(t, still.api.Delete(context.Background(), as)) })
	}
	issuer("an-hour", "1h")
	issuer("half-a-minute", "30s")
	want := map[string]bool{}
	revoked := func(name, issuer string, issued, at, expires time.Duration, left bool) {
		g := grant(namespace, name, now.Add(expires))
		g.Spec.AuthorizationServerName, g.Spec.IssuedAt = issuer, metav1.NewMicroTime(now.Add(issued))
		still.create(t, g)
		g.Status.RevokedAt = &metav1.Time{Time: now.Add(at)}
		must(t, still.api.Status().Update(t.Context(), g))
		if left {
			want[name] = true
		}
	}
	const month, second = 720 * time.Hour, time.Second
	hour, short, unknown := time.Hour+6*time.Minute, 8*time.Minute, 24*time.Hour+6*time.Minute
	revoked("hour-kept", "an-hour", -month, -hour, month, true)
	revoked("hour-over", "an-hour", -month, -hour-second, month, false)
	revoked("code-kept", "half-a-minute", -month, -short, month, true)
	revoked("code-over", "half-a-minute", -month, -short-second, month, false)
	revoked("clocks-apart", "half-a-minute", -short, -short-time.Minute, month, true)
	revoked("no-issuer-kept", "gone", -month, -unknown, month, true)
	revoked("no-issuer-over", "gone", -month, -unknown-second, month, false)
	revoked("expired", "an-hour", -time.Hour, -2*time.Minute, -61*second, false)
	still.create(t, grant(namespace, "alive", now.Add(month)))
	want["alive"] = true
	s := &oauthgrant.Sweeper{Client: still.api, Live: still.api, Namespace: namespace, Now: func() time.Time { return now }, Logger: logr.Discard()}
	deleted, err := s.Sweep(t.Context())
	must(t, err)
	if left := names(t, namespace); deleted != 4 || !maps.Equal(left, want) {
		t.Errorf("%d deleted, left: %v, want %v", deleted, left, want)
	}
}

func TestSweeperLooksAtEveryPage(t *testing.T) {
	namespace := still.namespace(t, nil)
	now := time.Now().Truncate(time.Second)
	for i := range 520 {
		still.create(t, grant(namespace, fmt.Sprintf("alive-%03d", i), now.Add(time.Hour)))
	}
	still.create(t, grant(namespace, "z-expired", now.Add(-time.Hour)))
	s := &oauthgrant.Sweeper{Client: still.api, Live: still.api, Namespace: namespace, Now: func() time.Time { return now }, Logger: logr.Discard()}
	deleted, err := s.Sweep(t.Context())
	must(t, err)
	if left := names(t, namespace); deleted != 1 || len(left) != 520 || left["z-expired"] {
		t.Errorf("%d deleted, %d left", deleted, len(left))
	}
}

func TestControllerSweepsWhenItStarts(t *testing.T) {
	eventually(t, "the grant that was there before is gone", running.gone(t, grant(operatorNamespace, "long-expired", time.Now())))
}

func TestSweeperDeletesDeviceAuthorizationsAMinuteAfterTheyExpire(t *testing.T) {
	namespace := still.namespace(t, nil)
	now := time.Now().Truncate(time.Second)
	device := func(name string, expires time.Time) *v1alpha1.OAuthDeviceAuthorization {
		return &v1alpha1.OAuthDeviceAuthorization{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.OAuthDeviceAuthorizationSpec{
			AuthorizationServerName: "default", ClientID: "shop.tv", ClientUID: "1", ID: name, ExpiresAt: metav1.NewTime(expires),
		}}
	}
	still.create(t, device("alive", now.Add(-59*time.Second)), device("expired", now.Add(-61*time.Second)), grant(namespace, "expired", now.Add(-time.Hour)))
	s := &oauthgrant.Sweeper{Client: still.api, Live: still.api, Namespace: namespace, Now: func() time.Time { return now }, Logger: logr.Discard()}
	deleted, err := s.Sweep(t.Context())
	must(t, err)
	var left v1alpha1.OAuthDeviceAuthorizationList
	must(t, still.api.List(t.Context(), &left, client.InNamespace(namespace)))
	if deleted != 2 || len(left.Items) != 1 || left.Items[0].Name != "alive" {
		t.Errorf("%d deleted, left: %v", deleted, left.Items)
	}
}

// stubborn is an API server that refuses to delete one object.
type stubborn struct {
	client.Client
	name string
}

func (s stubborn) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	if o.GetName() == s.name {
		return errors.New("refused")
	}
	return s.Client.Delete(ctx, o, options...)
}

// One grant that can't be deleted keeps none of the others, on its own page or on later ones, and is told.
func TestSweeperGoesOnAfterAFailure(t *testing.T) {
	namespace := still.namespace(t, nil)
	now := time.Now().Truncate(time.Second)
	const n = 510 // more than a page
	for i := range n {
		still.create(t, grant(namespace, fmt.Sprintf("expired-%03d", i), now.Add(-time.Hour)))
	}
	s := &oauthgrant.Sweeper{Client: stubborn{still.api, "expired-000"}, Live: still.api, Namespace: namespace, Now: func() time.Time { return now }, Logger: logr.Discard()}
	deleted, err := s.Sweep(t.Context())
	if left := names(t, namespace); deleted != n-1 || len(left) != 1 || !left["expired-000"] {
		t.Errorf("%d deleted, left: %v", deleted, left)
	}
	if err == nil || !strings.Contains(err.Error(), "expired-000") {
		t.Errorf("the failure is told as: %v", err)
	}
}
