package publish_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/publish"
	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

const (
	operatorNamespace = "latchkey-system"
	issuerURL         = "https://login.example.com"
	// soon is how long a change may take to be seen. The promise is well under a second; the rest is for a busy machine.
	soon = 10 * time.Second
)

var (
	cluster *controlplane.ControlPlane
	kube    client.Client
)

func TestMain(m *testing.M) {
	options := controlplane.Options{Manifests: []string{"config/crd"}, NoControllerManager: true}
	os.Exit(controlplane.Main(m, options, func(cp *controlplane.ControlPlane) (err error) {
		cluster = cp
		if kube, err = client.New(cp.RESTConfig(), client.Options{Scheme: newScheme()}); err != nil {
			return err
		}
		return kube.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}})
	}))
}

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	_ = clientgoscheme.AddToScheme(s) // never fails on a new scheme
	_ = v1alpha1.AddToScheme(s)
	return s
}

// start runs a publisher for the test and returns its holder.
func start(t *testing.T) *registry.Holder {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	watchdog := &publish.Watchdog{Now: time.Now}
	cache, err := publish.NewCache(cluster.RESTConfig(), newScheme(), operatorNamespace, watchdog)
	if err != nil {
		t.Fatal(err)
	}
	holder := &registry.Holder{}
	p, err := publish.New(ctx, publish.Config{Cache: cache, Watchdog: watchdog, Now: time.Now, Namespace: operatorNamespace, Holder: holder, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	go func() { done <- cache.Start(ctx) }()
	go func() { done <- p.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("publisher: %v", err)
			}
		}
	})
	eventually(t, "the first snapshot", func() bool { return p.Ready() == nil })
	return holder
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(context.Background(), 2*time.Millisecond, soon, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatalf("not seen within %s: %s", soon, what)
	}
}

// create creates an object and removes it after the test.
func create[T client.Object](t *testing.T, object T) T {
	t.Helper()
	if err := kube.Create(context.Background(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kube.Delete(context.Background(), object) }) // the test may have deleted it
	return object
}

func update[T client.Object](t *testing.T, object T, change func(T)) {
	t.Helper()
	if err := kube.Get(context.Background(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	change(object)
	if err := kube.Update(context.Background(), object); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, object client.Object) {
	t.Helper()
	if err := kube.Delete(context.Background(), object); err != nil {
		t.Fatal(err)
	}
}

func newKeys(t *testing.T) []byte {
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
	return data
}

// world creates an issuer with keys, open to namespaces labelled oauth=yes, and the namespaces shop and web.
type world struct {
	issuer    *v1alpha1.AuthorizationServer
	keys      *corev1.Secret
	shop, web *corev1.Namespace
}

func newWorld(t *testing.T, names string) world {
	t.Helper()
	namespace := func(name string) *corev1.Namespace {
		return create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"oauth": "yes"}}})
	}
	return world{
		keys: create(t, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: compile.KeysSecretPrefix + "default"},
			Data:       map[string][]byte{compile.KeysSecretKey: newKeys(t)},
		}),
		issuer: create(t, &v1alpha1.AuthorizationServer{
			ObjectMeta: metav1.ObjectMeta{Name: "default"},
			Spec: v1alpha1.AuthorizationServerSpec{
				Issuer:            issuerURL,
				Signing:           &v1alpha1.Signing{Algorithms: []v1alpha1.SigningAlgorithm{v1alpha1.ES256}},
				AllowedNamespaces: &v1alpha1.NamespaceMatch{Selector: metav1.LabelSelector{MatchLabels: map[string]string{"oauth": "yes"}}},
			},
		}),
		shop: namespace(names + "-shop"),
		web:  namespace(names + "-web"),
	}
}

func (w world) orders(t *testing.T, access ...v1alpha1.AccessRule) *v1alpha1.ResourceServer {
	t.Helper()
	return create(t, &v1alpha1.ResourceServer{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.shop.Name, Name: "orders"},
		Spec: v1alpha1.ResourceServerSpec{
			Identifier: "https://orders." + w.shop.Name + ".svc",
			Scopes:     []v1alpha1.Scope{{Name: "orders.read", Description: "See your orders"}},
			Access:     access,
		},
	})
}

func (w world) storefront(t *testing.T) *v1alpha1.OAuthClient {
	t.Helper()
	return create(t, &v1alpha1.OAuthClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.web.Name, Name: "storefront"},
		Spec: v1alpha1.OAuthClientSpec{
			Type: v1alpha1.ClientPublic, RedirectURIs: []v1alpha1.RedirectURI{"https://shop.example/callback"},
			GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode},
			Resources:  []v1alpha1.ResourceReference{{Namespace: w.shop.Name, Name: "orders", Scopes: []string{"orders.read"}}},
		},
	})
}

// clientIn finds a client in the current snapshot.
func clientIn(h *registry.Holder, id string) *registry.Client {
	iss, ok := h.Load().ByURL(issuerURL)
	if !ok {
		return nil
	}
	c, _ := iss.Client(id)
	return c
}

func mayAsk(h *registry.Holder, id, identifier string) bool {
	c := clientIn(h, id)
	if c == nil {
		return false
	}
	_, ok := c.AccessTo(identifier)
	return ok
}
