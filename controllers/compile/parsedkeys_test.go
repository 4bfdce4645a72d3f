package compile

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/latchkey-io/latchkey/server/keys"
)

func keysSecret(t *testing.T, uid, version string) *corev1.Secret {
	t.Helper()
	schedule := keys.Schedule{Algorithms: []keys.Algorithm{keys.ES256}, Interval: time.Hour, PublishAhead: time.Minute, Keep: time.Hour}
	material, _, err := (*keys.Material)(nil).Rotate(schedule, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := material.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: KeysSecretPrefix + "default", UID: types.UID(uid), ResourceVersion: version},
		Data:       map[string][]byte{KeysSecretKey: data},
	}
}

// Keys are those of the Secret's present version: parsed once, and again when it has changed, been damaged, or made anew.
func TestParsedKeysAreOfTheSecretAsItIs(t *testing.T) {
	var p ParsedKeys
	first := keysSecret(t, "a", "1")
	set, err := p.Parse(first)
	if err != nil || set == nil {
		t.Fatal(err)
	}
	if again, err := p.Parse(first); err != nil || again != set {
		t.Errorf("parsed again: %v", err)
	}
	for name, secret := range map[string]*corev1.Secret{"another version": keysSecret(t, "a", "2"), "another Secret": keysSecret(t, "b", "1")} {
		if other, err := p.Parse(secret); err != nil || other == set {
			t.Errorf("%s: the keys of before, %v", name, err)
		}
	}
	damaged := first.DeepCopy()
	damaged.ResourceVersion, damaged.Data = "3", nil
	for range 2 {
		if set, err := p.Parse(damaged); err == nil || set != nil {
			t.Errorf("a damaged Secret has keys: %v", set)
		}
	}
	p.forget(first.Name)
	if len(p.known) != 0 {
		t.Error("the keys of a Secret that is gone are kept")
	}
	if set, err := (*ParsedKeys)(nil).Parse(first); err != nil || set == nil {
		t.Errorf("without memory: %v", err)
	}
}
