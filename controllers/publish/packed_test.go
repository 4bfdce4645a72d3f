package publish

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

func packedClient(t *testing.T, c *v1alpha1.OAuthClient) *packed {
	t.Helper()
	p, err := pack(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A client with all that it can have, and one with nothing, come back as they were.
func TestPackingLosesNothing(t *testing.T) {
	full := &v1alpha1.OAuthClient{}
	everything(full)
	small := &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "storefront"}}
	empty := small.DeepCopy() // whose members are there, with nothing in them
	empty.Spec.Authentication = &v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecret{}}
	empty.Spec.Scopes = []v1alpha1.IdentityScope{}
	for _, c := range []*v1alpha1.OAuthClient{full, small, empty} {
		if got, err := packedClient(t, c).unpack(); err != nil || !equality.Semantic.DeepEqual(got, c) {
			t.Errorf("%+v, %v, want %+v", got, err, c)
		}
	}
}

// What stores and informers ask of an object is answered without decoding it.
func TestPackedObjectsHaveANameAndAVersion(t *testing.T) {
	p := packedClient(t, &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "storefront", ResourceVersion: "17"}})
	o, err := meta.Accessor(p)
	if err != nil || o.GetNamespace() != "shop" || o.GetName() != "storefront" || o.GetResourceVersion() != "17" {
		t.Errorf("%+v, %v", o, err)
	}
	if p.DeepCopyObject() != p {
		t.Error("a copy is another one")
	}
}

// told are the objects that a handler was told of.
type told struct{ objects []any }

func (h *told) OnAdd(o any, _ bool)    { h.objects = append(h.objects, o) }
func (h *told) OnUpdate(before, o any) { h.objects = append(h.objects, before, o) }
func (h *told) OnDelete(o any)         { h.objects = append(h.objects, o) }

// Handlers and readers see clients, and never what the cache keeps of them.
func TestNobodySeesPackedObjects(t *testing.T) {
	c := &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "storefront", ResourceVersion: "17"}}
	p := packedClient(t, c)
	h := &told{}
	handler := unpackingHandler{h}
	handler.OnAdd(p, true)
	handler.OnUpdate(p, p)
	handler.OnDelete(p)
	handler.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "shop/storefront", Obj: p})
	want := []any{c, c, c, c, toolscache.DeletedFinalStateUnknown{Key: "shop/storefront", Obj: c}}
	if !reflect.DeepEqual(h.objects, want) {
		t.Errorf("told: %+v", h.objects)
	}
	index := toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc}
	store := unpackingIndexer{toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, index)}
	if err := store.Add(p); err != nil {
		t.Fatal(err)
	}
	seen := func(how string, objects []any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(objects, []any{c}) {
			t.Errorf("%s: %+v, %v", how, objects, err)
		}
	}
	seen("List", store.List(), nil)
	objects, err := store.Index(toolscache.NamespaceIndex, c)
	seen("Index", objects, err)
	objects, err = store.ByIndex(toolscache.NamespaceIndex, "shop")
	seen("ByIndex", objects, err)
	object, exists, err := store.Get(c)
	seen("Get", []any{object}, err)
	object, byKey, err := store.GetByKey("shop/storefront")
	seen("GetByKey", []any{object}, err)
	if _, other, err := store.GetByKey("shop/backoffice"); !exists || !byKey || other || err != nil {
		t.Errorf("there: %t, %t; not there: %t, %v", exists, byKey, other, err)
	}
}

// What can't be decoded is an error where there can be one, and nobody is told of it.
func TestDamagedPackedObjects(t *testing.T) {
	damaged := &packed{namespace: "shop", name: "storefront", encoded: "{"}
	store := unpackingIndexer{toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{})}
	if err := store.Add(damaged); err != nil {
		t.Fatal(err)
	}
	if object, exists, err := store.GetByKey("shop/storefront"); err == nil || exists {
		t.Errorf("%+v, %t, %v", object, exists, err)
	}
	h := &told{}
	unpackingHandler{h}.OnAdd(damaged, false)
	if len(h.objects) > 0 {
		t.Errorf("told: %+v", h.objects)
	}
}
