package oauthclient

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

func TestWhatWasWrittenIsPendingUntilTheCacheHasIt(t *testing.T) {
	at := func(version string) *v1alpha1.OAuthClient {
		return &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "storefront", ResourceVersion: version}}
	}
	now := time.Unix(1_700_000_000, 0)
	var w written
	if w.pending(at("7"), now) {
		t.Error("pending before anything was written")
	}
	w.note(at("100"), now)
	for _, version := range []string{"7", "99"} {
		if !w.pending(at(version), now) {
			t.Errorf("version %s is taken for what was written", version)
		}
	}
	if w.pending(at("101"), now) || w.pending(at("7"), now) || len(w.versions) != 0 {
		t.Error("pending, or remembered, although the cache has something newer")
	}
	w.note(at("100"), now)
	w.forget(client.ObjectKeyFromObject(at("")))
	if w.pending(at("7"), now) {
		t.Error("a client that is gone holds up another one of its name")
	}
	w.note(at("100"), now)
	if w.pending(at("7"), now.Add(pendingAtMost)) {
		t.Error("waits for ever for what etcd has forgotten")
	}
	w.note(at("another kind of version"), now)
	if w.pending(at("7"), now) {
		t.Error("what can't be compared holds up a client")
	}
}
