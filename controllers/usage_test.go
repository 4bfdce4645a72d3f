package controllers_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// When secrets were used is the servers' to write: the controller keeps it as it is, whatever else of status it writes.
func TestControllerLeavesUsageOfSecretsAlone(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	must(t, running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c))
	at := metav1.NewTime(time.Now().Truncate(time.Second))
	before := c.DeepCopy()
	c.Status.SecretUsage = []v1alpha1.ClientSecretUsage{{ID: c.Status.Secrets[0].ID, LastUsedTime: at}}
	must(t, running.api.Status().Patch(t.Context(), c, client.MergeFrom(before), client.FieldOwner("latchkey-server")))
	for name, edit := range map[string]func(*v1alpha1.OAuthClient){
		"another spec": func(c *v1alpha1.OAuthClient) { c.Spec.DisplayName = "Storefront" },
		"disabled":     func(c *v1alpha1.OAuthClient) { c.Spec.Disabled = true },
		"enabled":      func(c *v1alpha1.OAuthClient) { c.Spec.Disabled = false },
	} {
		change(t, running, c, edit)
		eventually(t, name+" is seen", func() (bool, error) {
			err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
			return err == nil && c.Status.ObservedGeneration == c.Generation, err
		})
		if usage := c.Status.SecretUsage; len(usage) != 1 || !usage[0].LastUsedTime.Equal(&at) {
			t.Errorf("%s: status.secretUsage: %+v", name, usage)
		}
	}
}
