package kubernetes_test

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/pages"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/kubernetes"
)

var (
	cluster   *controlplane.ControlPlane
	manifests = []string{"config/crd/bases"}
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	options := controlplane.Options{Manifests: manifests, NoControllerManager: true}
	os.Exit(controlplane.Main(m, options, func(cp *controlplane.ControlPlane) error {
		cluster = cp
		return nil
	}))
}

func newClient(t testing.TB, config *rest.Config) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newNamespace(t testing.TB) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "grants-"}}
	if err := newClient(t, cluster.RESTConfig()).Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// replica is a Store as one server process has it, counting what it writes.
type replica struct {
	*kubernetes.Store
	writes atomic.Int64
}

// newReplica starts a replica that follows the grants. A transport may be wrapped around its client's.
func newReplica(t testing.TB, cp *controlplane.ControlPlane, namespace string, now func() time.Time, wrap func(http.RoundTripper) http.RoundTripper) *replica {
	t.Helper()
	r := newIdleReplica(t, cp, namespace, now, wrap)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the replica is synced", func(context.Context) (bool, error) { return r.Synced(), nil })
	return r
}

// newIdleReplica makes a replica whose watch has not started.
func newIdleReplica(t testing.TB, cp *controlplane.ControlPlane, namespace string, now func() time.Time, wrap func(http.RoundTripper) http.RoundTripper) *replica {
	t.Helper()
	config := cp.RESTConfig()
	if wrap != nil {
		config.Wrap(wrap)
	}
	r := &replica{}
	var err error
	r.Store, err = kubernetes.New(newConfig(t, config, namespace, now, &r.writes))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newConfig is what a process's stores share. Its writes are counted.
func newConfig(t testing.TB, config *rest.Config, namespace string, now func() time.Time, writes *atomic.Int64) kubernetes.Config {
	t.Helper()
	all, err := pages.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return kubernetes.Config{
		Client: newClient(t, config), Pages: all, Namespace: namespace, Now: now,
		OnWrite: func(string) { writes.Add(1) },
	}
}

const poll = 5 * time.Millisecond

func eventually(t testing.TB, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), poll, time.Minute, true, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func newID(t testing.TB) string {
	t.Helper()
	b := make([]byte, 20)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

func newGrant(t testing.TB) *store.Grant {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	return &store.Grant{
		ID: newID(t), AuthorizationServer: "default", ClientID: "demo.print-shop", ClientUID: "client-uid",
		User: "alice", UserUID: "user-uid", SessionID: "session", AuthTime: now, IssuedAt: now,
		Scopes: []string{"openid"}, Targets: []store.Target{{Resource: "https://photos.demo.svc", Scopes: []string{"photos.read"}}},
		ExpiresAt: now.Add(10 * time.Minute), Attempt: newID(t),
	}
}
