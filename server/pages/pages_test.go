package pages

import (
	"context"
	gojson "encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	kubernetesjson "sigs.k8s.io/json"
	"sigs.k8s.io/randfill"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/controlplane"
)

var cluster *controlplane.ControlPlane

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	options := controlplane.Options{Manifests: []string{"config/crd/bases"}, NoControllerManager: true}
	os.Exit(controlplane.Main(m, options, func(cp *controlplane.ControlPlane) error {
		cluster = cp
		return nil
	}))
}

// declare makes n ResourceServers in a namespace of their own.
func declare(t *testing.T, n int) (namespace string, names []string) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(cluster.RESTConfig(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	of := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "team-"}}
	if err := c.Create(t.Context(), of); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		r := &v1alpha1.ResourceServer{
			ObjectMeta: metav1.ObjectMeta{Namespace: of.Name, Name: fmt.Sprintf("api-%02d", i)},
			Spec:       v1alpha1.ResourceServerSpec{Identifier: fmt.Sprintf("https://api-%02d.example.com", i)},
		}
		if err := c.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		names = append(names, r.Name)
	}
	return of.Name, names
}

// newClient makes a Client of small pages.
func newClient(t *testing.T) *Client {
	t.Helper()
	c, err := New(cluster.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	c.size = 3
	return c
}

// resource keeps all of a ResourceServer.
func resource(read func(any) error) (runtime.Object, error) {
	r := &v1alpha1.ResourceServer{}
	return r, read(r)
}

func namesOf(list runtime.Object) (names []string) {
	for _, item := range list.(*internalversion.List).Items {
		names = append(names, item.(*v1alpha1.ResourceServer).Name)
	}
	return names
}

func TestAllPagesAreRead(t *testing.T) {
	namespace, want := declare(t, 10)
	_, others := declare(t, 2)
	c := newClient(t)
	old := metav1.ListOptions{ResourceVersion: "0"} // with which the API server would ignore the limit, and answer from a while ago
	list, err := c.List(t.Context(), "resourceservers", namespace, old, resource)
	if err != nil || !slices.Equal(namesOf(list), want) {
		t.Fatalf("%v, %v; want %v", namesOf(list), err, want)
	}
	all := list.(*internalversion.List)
	if all.ResourceVersion == "" || all.Continue != "" || all.Items[7].(*v1alpha1.ResourceServer).Spec.Identifier != "https://api-07.example.com" {
		t.Errorf("%+v", all)
	}
	everywhere, err := c.List(t.Context(), "resourceservers", "", metav1.ListOptions{}, resource)
	if err != nil || len(namesOf(everywhere)) != len(want)+len(others) {
		t.Errorf("in all namespaces: %v, %v", namesOf(everywhere), err)
	}
	none, err := c.List(t.Context(), "oauthgrants", namespace, metav1.ListOptions{}, resource)
	if err != nil || len(namesOf(none)) != 0 || none.(*internalversion.List).ResourceVersion == "" {
		t.Errorf("of none: %+v, %v", none, err)
	}
}

// What the API server refuses with is the error that it is: the reflector, and the list itself, go by it.
func TestRefusalsAreStatusErrors(t *testing.T) {
	c := newClient(t)
	if _, err := c.List(t.Context(), "nothing", "", metav1.ListOptions{}, resource); !apierrors.IsNotFound(err) {
		t.Errorf("a kind that isn't there: %v", err)
	}
	if _, err := c.List(t.Context(), "resourceservers", "", metav1.ListOptions{Continue: "?"}, resource); !apierrors.IsBadRequest(err) {
		t.Errorf("a page that isn't there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.List(ctx, "resourceservers", "", metav1.ListOptions{}, resource); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is done: %v", err)
	}
}

func page(next string, names ...string) *internalversion.List {
	l := &internalversion.List{ListMeta: metav1.ListMeta{ResourceVersion: "42", Continue: next}}
	for _, name := range names {
		l.Items = append(l.Items, &v1alpha1.ResourceServer{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return l
}

// A list that takes longer than the API server remembers is read as a whole, and nothing is in it twice.
func TestListThatHasExpiredIsReadAtOnce(t *testing.T) {
	all, err := listPages(metav1.ListOptions{}, 2, func(o metav1.ListOptions) (*internalversion.List, error) {
		switch {
		case o.Continue != "":
			return nil, apierrors.NewResourceExpired("too old")
		case o.Limit == 0:
			return page("", "a", "b", "c"), nil
		}
		return page("second", "a", "b"), nil
	})
	if err != nil || !slices.Equal(namesOf(all), []string{"a", "b", "c"}) {
		t.Errorf("%v, %v", all, err)
	}
	broken := errors.New("broken")
	for i := range 2 {
		_, err := listPages(metav1.ListOptions{}, 2, func(metav1.ListOptions) (*internalversion.List, error) {
			if i--; i < 0 {
				return nil, broken
			}
			return page("second", "a", "b"), nil
		})
		if !errors.Is(err, broken) {
			t.Errorf("a failure became %v", err)
		}
	}
}

// lists are the same list, its members in orders that JSON leaves free.
func lists() []string {
	const (
		kind     = `"kind":"ResourceServerList","apiVersion":"oauth.latchkey.io/v1alpha1"`
		metadata = `"metadata":{"resourceVersion":"42","continue":"more"}`
		items    = `"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"},"spec":{"identifier":"]}"}}]`
	)
	return []string{
		"{" + kind + "," + metadata + "," + items + "}",
		"{" + items + "," + metadata + "," + kind + "}\n",
		`{"later":{"items":[{}]},` + metadata + `,"Items":[1],` + items + "}",
	}
}

func TestListsInAnyOrder(t *testing.T) {
	for _, text := range lists() {
		list, err := decode(strings.NewReader(text), resource)
		if err != nil || !slices.Equal(namesOf(list), []string{"a", "b"}) || list.ResourceVersion != "42" || list.Continue != "more" {
			t.Errorf("%s: %+v, %v", text, list, err)
		}
	}
	for _, empty := range []string{`{"metadata":{"resourceVersion":"42"},"items":[]}`, `{"metadata":{"resourceVersion":"42"},"items":null}`} {
		if list, err := decode(strings.NewReader(empty), resource); err != nil || len(list.Items) != 0 {
			t.Errorf("%s: %+v, %v", empty, list, err)
		}
	}
}

// The decoder makes of every kind what Kubernetes' own makes of it.
func TestObjectsAreReadAsKubernetesReadsThem(t *testing.T) {
	fill := randfill.NewWithSeed(1).NilChance(0.2).NumElements(0, 2).Funcs(
		func(at *metav1.Time, _ randfill.Continue) { *at = metav1.Unix(1_700_000_000, 0) },
		func(at *metav1.MicroTime, _ randfill.Continue) {
			*at = metav1.NewMicroTime(time.Unix(1_700_000_000, 123_456_000))
		},
		func(f *metav1.FieldsV1, _ randfill.Continue) { *f = *metav1.NewFieldsV1(`{"f:spec":{}}`) },
	)
	s := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	for kind, of := range s.KnownTypes(v1alpha1.GroupVersion) {
		if of.PkgPath() != reflect.TypeFor[v1alpha1.OAuthClient]().PkgPath() { // ListOptions and the like
			continue
		}
		for range 20 {
			object, want, got := reflect.New(of).Interface(), reflect.New(of).Interface(), reflect.New(of).Interface()
			fill.Fill(object)
			raw, err := gojson.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			if err := kubernetesjson.UnmarshalCaseSensitivePreserveInts(raw, want); err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			if err := json.Unmarshal(raw, got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s became %+v, %v; Kubernetes reads %+v", kind, raw, got, err, want)
			}
		}
	}
}

// A list that ends early is never taken for a short one: what isn't in a list is taken for deleted.
func TestBrokenListsAreErrors(t *testing.T) {
	for _, text := range lists() {
		text = strings.TrimSpace(text)
		for n := range len(text) {
			if list, err := decode(strings.NewReader(text[:n]), resource); err == nil {
				t.Fatalf("%s is taken for %+v", text[:n], list)
			}
		}
	}
	for _, text := range []string{
		`[]`, `null`, `{}`, `{"items":[]}`, `{"metadata":{},"items":[]}`, `{"metadata":{"resourceVersion":"42"}}`,
		`{"metadata":{"resourceVersion":"42"},"items":{}}`, `{"metadata":{"resourceVersion":"42"},"items":[1]}`, `{"metadata":1,"items":[]}`,
		`{"metadata":{"resourceVersion":"42"},"items":[{"metadata":{"name":7}}]}`, `{"metadata":{"resourceVersion":"42"},"items":[{]}`,
		`{"kind":"Status","metadata":{},"status":"Failure"}`,
	} {
		if list, err := decode(strings.NewReader(text), resource); err == nil {
			t.Errorf("%s is taken for %+v", text, list)
		}
	}
	broken := errors.New("broken")
	if _, err := decode(strings.NewReader(lists()[0]), func(func(any) error) (runtime.Object, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("a failure became %v", err)
	}
}
