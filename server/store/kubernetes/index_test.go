package kubernetes

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

func object(id, version string, revoked bool) *v1alpha1.OAuthGrant {
	o := &v1alpha1.OAuthGrant{ObjectMeta: metav1.ObjectMeta{Name: id, ResourceVersion: version, CreationTimestamp: metav1.NewTime(time.Unix(1000, 0))}}
	o.Spec.ExpiresAt = metav1.NewTime(time.Unix(1600, 0))
	if revoked {
		at := metav1.NewTime(time.Unix(1001, 0))
		o.Status.RevokedAt = &at
	}
	return o
}

func newTestIndex(at *time.Time) *index[store.Grant, *v1alpha1.OAuthGrant] {
	return newIndex(func() time.Time { return *at }, newGrantEntry, nil)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheWatchDoesNotUndoOurOwnWrites(t *testing.T) {
	now := time.Unix(1000, 0)
	x := newTestIndex(&now)
	x.put(newGrantEntry(object("a", "12", true)))
	must(t, x.Add(object("a", "9", false)))
	if x.get("a").value.RevokedAt.IsZero() {
		t.Error("an older event brought the grant back to life")
	}
	must(t, x.Replace(nil, "10"))
	if x.get("a") == nil {
		t.Error("a list that is older than the grant took it away")
	}
	must(t, x.Replace(nil, "100"))
	if x.get("a") != nil || !x.buried("a") {
		t.Error("a grant that is not in a newer list is deleted")
	}
}

func TestADeletedIDStaysKnown(t *testing.T) {
	now := time.Unix(1000, 0)
	x := newTestIndex(&now)
	must(t, x.Add(object("a", "5", false)))
	must(t, x.Delete(object("a", "7", false)))
	x.put(newGrantEntry(object("a", "5", false))) // the answer of our own Create, late
	if x.get("a") != nil {
		t.Error("a deleted grant came back")
	}
	now = now.Add(remembered)
	if !x.known("a") {
		t.Error("forgotten too early")
	}
	now = now.Add(time.Second)
	if x.known("a") {
		t.Error("never forgotten")
	}
}

func TestARestoredGrantIsThere(t *testing.T) {
	now := time.Unix(1000, 0)
	x := newTestIndex(&now)
	must(t, x.Delete(object("a", "7", false)))
	must(t, x.Add(object("a", "9", false)))
	must(t, x.Delete(object("a", "7", false)))
	if x.get("a") == nil {
		t.Error("an older deletion took a newer object away")
	}
}

func TestASweepOfOldGrantsIsNotRemembered(t *testing.T) {
	now := time.Unix(1600, 0).Add(time.Second)
	x := newTestIndex(&now)
	must(t, x.Add(object("a", "5", false)))
	must(t, x.Delete(object("a", "7", false)))
	if x.known("a") {
		t.Error("an expired grant is remembered")
	}
}

func TestBurialsAreBounded(t *testing.T) {
	if n := newIndex(time.Now, newDeviceEntry, nil).burials.limit; n != 131_072 {
		t.Errorf("a server remembers %d", n)
	}
	b := newBurials(3)
	now := time.Unix(1000, 0)
	for i, id := range []string{"a", "b", "a", "c", "d"} {
		b.add(id, "1", now.Add(time.Duration(i)*time.Second))
	}
	for id, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if _, ok := b.get(id, now.Add(5*time.Second)); ok != want {
			t.Errorf("%s remembered: %v, want %v", id, ok, want)
		}
	}
	b.add("e", "1", now.Add(time.Hour))
	if len(b.byID) != 1 || len(b.queue) != 1 {
		t.Errorf("kept %v and %v", b.byID, b.queue)
	}
}
