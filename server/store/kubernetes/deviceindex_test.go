package kubernetes

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

func deviceObject(name, version string, decided bool) *v1alpha1.OAuthDeviceAuthorization {
	o := &v1alpha1.OAuthDeviceAuthorization{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
	o.Spec.ClientUID, o.Spec.ExpiresAt = "client", metav1.NewTime(time.Unix(1600, 0))
	if decided {
		o.Status.Decision = v1alpha1.DeviceDenied
	}
	return o
}

func TestTheWatchDoesNotUndoADecision(t *testing.T) {
	now := time.Unix(1000, 0)
	x := newIndex(func() time.Time { return now }, newDeviceEntry, nil)
	x.put(newDeviceEntry(deviceObject("a", "12", true)))
	must(t, x.Add(deviceObject("a", "9", false)))
	if x.get("a").value.Decision == nil {
		t.Error("an older event made it wait again")
	}
	must(t, x.Replace(nil, "10"))
	if x.get("a") == nil {
		t.Error("a list that is older than it took it away")
	}
	must(t, x.Replace(nil, "100"))
	if x.get("a") != nil || !x.buried("a") {
		t.Error("what is not in a newer list is deleted")
	}
	x.put(newDeviceEntry(deviceObject("a", "12", true))) // the answer of our own write, late
	if x.get("a") != nil {
		t.Error("what was deleted came back")
	}
}

func TestASweepOfOldDeviceAuthorizationsIsNotRemembered(t *testing.T) {
	now := time.Unix(1600, 0)
	x := newIndex(func() time.Time { return now }, newDeviceEntry, nil)
	must(t, x.Add(deviceObject("a", "5", false)))
	must(t, x.Delete(deviceObject("a", "7", false)))
	if x.get("a") != nil || x.buried("a") {
		t.Error("an expired one is remembered")
	}
	if err := x.Add("nonsense"); err == nil {
		t.Error("took a string")
	}
}
