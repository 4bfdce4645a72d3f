package publish_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

// That a secret was used changes nothing for requests: nothing is compiled and no snapshot is made.
func TestUsageOfASecretPublishesNothing(t *testing.T) {
	w := newWorld(t, "usage")
	holder := start(t)
	c := w.storefront(t)
	id := compile.ClientID(c)
	eventually(t, "the client", func() bool { return clientIn(holder, id) != nil })
	snapshot, compiled := holder.Load(), clientIn(holder, id)
	for day := range 3 {
		before := c.DeepCopy()
		c.Status.SecretUsage = []v1alpha1.ClientSecretUsage{{ID: "one", LastUsedTime: metav1.NewTime(time.Now().AddDate(0, 0, day))}}
		if err := kube.Status().Patch(t.Context(), c, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	other := create(t, &v1alpha1.OAuthClient{ // whose event comes after
		ObjectMeta: metav1.ObjectMeta{Namespace: w.web.Name, Name: "after"},
		Spec:       c.Spec,
	})
	eventually(t, "the other client", func() bool { return clientIn(holder, compile.ClientID(other)) != nil })
	if clientIn(holder, id) != compiled {
		t.Error("the client was compiled again")
	}
	if holder.Load() == snapshot {
		t.Error("the snapshot is the old one")
	}
}
