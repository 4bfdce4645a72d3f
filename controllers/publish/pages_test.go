package publish

import (
	gojson "encoding/json"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubernetesjson "sigs.k8s.io/json"
	"sigs.k8s.io/randfill"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// everything fills all there is in an object, lists and maps with one member.
func everything(object runtime.Object) {
	randfill.NewWithSeed(1).NilChance(0).NumElements(1, 1).Funcs(
		func(t *metav1.Time, _ randfill.Continue) { *t = metav1.Unix(1_700_000_000, 0) },
		func(f *metav1.FieldsV1, _ randfill.Continue) { *f = *metav1.NewFieldsV1(`{"f:spec":{}}`) },
	).Fill(object)
}

// Of an object with all that it can have, what is decoded without what nobody reads is what is kept of all of it.
func TestWhatListsSkipNobodyKeeps(t *testing.T) {
	for _, empty := range []runtime.Object{&v1alpha1.OAuthClient{}, &v1alpha1.LocalUser{}, &v1alpha1.ResourceServer{}, &v1alpha1.AuthorizationServer{}} {
		full := empty.DeepCopyObject()
		everything(full)
		raw, err := gojson.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		whole, skipping := empty.DeepCopyObject(), empty.DeepCopyObject()
		if err := kubernetesjson.UnmarshalCaseSensitivePreserveInts(raw, whole); err != nil {
			t.Fatal(err)
		}
		skip := skipped(reflect.TypeOf(empty).Elem().Name())
		if err := json.Unmarshal(raw, skipping, json.WithUnmarshalers(json.JoinUnmarshalers(skip...))); err != nil {
			t.Fatal(err)
		}
		keptWhole, err := keep(whole)
		if err != nil {
			t.Fatal(err)
		}
		if keptSkipping, err := keep(skipping); err != nil || !reflect.DeepEqual(keptWhole, keptSkipping) {
			t.Errorf("%T: of the whole %+v, by skipping %+v, %v", empty, keptWhole, keptSkipping, err)
		}
	}
}

// What is asked of the API server for a kind is guessed from its name; these are the names of the CRDs.
func TestResourcesOfKinds(t *testing.T) {
	for kind, want := range map[string]string{
		"AuthorizationServer": "authorizationservers", "OAuthClient": "oauthclients", "ResourceServer": "resourceservers", "LocalUser": "localusers",
	} {
		if got := resourceOf(schema.GroupVersionKind{Kind: kind}); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}
