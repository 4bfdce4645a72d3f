package oauthclient

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// That a secret was used is nothing to look at a client for. Everything else is, whatever comes with it.
func TestUsageAloneIsNothingToReconcile(t *testing.T) {
	used := func(c *v1alpha1.OAuthClient) {
		c.ResourceVersion, c.ManagedFields = "2", []metav1.ManagedFieldsEntry{{Manager: "latchkey-server"}}
		c.Status.SecretUsage = []v1alpha1.ClientSecretUsage{{ID: "one", LastUsedTime: metav1.Unix(1000, 0)}}
	}
	for name, tc := range map[string]struct {
		edit func(*v1alpha1.OAuthClient)
		want bool
	}{
		"nothing: a resync":  {func(*v1alpha1.OAuthClient) {}, true},
		"usage":              {used, false},
		"usage and a digest": {func(c *v1alpha1.OAuthClient) { used(c); c.Status.Secrets[0].Digest = "forged" }, true},
		"usage and expiry": {func(c *v1alpha1.OAuthClient) {
			used(c)
			c.Status.Secrets[0].ExpiresAt = &metav1.Time{Time: time.Unix(2000, 0)}
		}, true},
		"usage and verdict": {func(c *v1alpha1.OAuthClient) {
			used(c)
			c.Status.Conditions = []metav1.Condition{{Type: "Ready"}}
		}, true},
		"usage and a request to rotate": {func(c *v1alpha1.OAuthClient) {
			used(c)
			c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "now"}
		}, true},
		"usage and the end":                {func(c *v1alpha1.OAuthClient) { used(c); c.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }, true},
		"usage and another spec":           {func(c *v1alpha1.OAuthClient) { used(c); c.Generation++ }, true},
		"usage and another under the name": {func(c *v1alpha1.OAuthClient) { used(c); c.UID = "another" }, true},
		"a digest":                         {func(c *v1alpha1.OAuthClient) { c.Status.Secrets[0].Digest = "forged" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.OAuthClient{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "storefront", ResourceVersion: "1", UID: "uid"},
				Status:     v1alpha1.OAuthClientStatus{Secrets: []v1alpha1.ClientSecretStatus{{ID: "one", Digest: "digest"}}},
			}
			after := before.DeepCopy()
			tc.edit(after)
			unchanged := before.DeepCopy()
			if got := notUsageAlone(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != tc.want {
				t.Errorf("got %t", got)
			}
			if before.ResourceVersion != unchanged.ResourceVersion || len(before.Status.SecretUsage) != 0 {
				t.Error("what the cache shares was changed")
			}
		})
	}
}
