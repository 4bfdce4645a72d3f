package usage

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/registry"
)

var (
	cluster *controlplane.ControlPlane
	scheme  *runtime.Scheme
	admin   client.Client
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	options := controlplane.Options{Manifests: []string{"config/crd/bases"}, NoControllerManager: true}
	os.Exit(controlplane.Main(m, options, func(cp *controlplane.ControlPlane) (err error) {
		cluster, scheme = cp, runtime.NewScheme()
		for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
			if err := add(scheme); err != nil {
				return err
			}
		}
		admin, err = client.New(cp.RESTConfig(), client.Options{Scheme: scheme})
		return err
	}))
}

// clock is a clock that only tests move.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Now().Truncate(time.Second).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.buf.Bytes(), []byte(text))
}

// replica is a Recorder as one server process has it.
type replica struct {
	*Recorder
	log *lines
	// patches are the requests to write that were sent, results what came of them.
	patches atomic.Int64
	mu      sync.Mutex
	results map[string]int
	// broken: requests to write fail on their way.
	broken atomic.Bool
	// before, when set, runs before a request to write is sent, once.
	before atomic.Pointer[func()]
}

// newReplica makes a replica with a cache that follows the clients. Tests call round, or Start.
func newReplica(t *testing.T, c *clock) *replica {
	t.Helper()
	r := &replica{log: &lines{}, results: map[string]int{}}
	config := cluster.RESTConfig()
	config.QPS = -1
	objects, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	own := cluster.RESTConfig()
	own.QPS = -1
	own.Wrap(func(next http.RoundTripper) http.RoundTripper { return &transport{next, r} })
	writer, err := client.New(own, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	r.Recorder, err = New(Config{
		Client: writer, Cache: objects, Now: c.now, Delay: 10 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
		OnWrite: func(result string) {
			r.mu.Lock()
			r.results[result]++
			r.mu.Unlock()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, objects.Start)
	if err := r.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// background runs until the test is over.
func background(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// transport counts and breaks requests to write.
type transport struct {
	http.RoundTripper
	r *replica
}

func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodPatch {
		return t.RoundTripper.RoundTrip(request)
	}
	t.r.patches.Add(1)
	if before := t.r.before.Swap(nil); before != nil {
		(*before)()
	}
	if t.r.broken.Load() {
		return nil, http.ErrServerClosed
	}
	return t.RoundTripper.RoundTrip(request)
}

func (r *replica) written(result string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.results[result]
}

// newClient makes a client with those secrets in status, and its compiled form.
func newClient(t *testing.T, ids ...string) (*v1alpha1.OAuthClient, *registry.Client) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "usage-"}}
	if err := admin.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return newClientIn(t, namespace.Name, ids...)
}

func newClientIn(t *testing.T, namespace string, ids ...string) (*v1alpha1.OAuthClient, *registry.Client) {
	t.Helper()
	c := &v1alpha1.OAuthClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "storefront"},
		Spec: v1alpha1.OAuthClientSpec{
			Type: v1alpha1.ClientConfidential, GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantClientCredentials},
			Authentication: &v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecret{Source: v1alpha1.SecretGenerated, SecretName: "storefront-oauth"}},
		},
	}
	if err := admin.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // or its times would be other tests' future
		if err := admin.DeleteAllOf(context.Background(), &v1alpha1.OAuthClient{}, client.InNamespace(namespace)); err != nil {
			t.Error(err)
		}
	})
	change(t, c, func(s *v1alpha1.OAuthClientStatus) { s.Secrets = secretsOf(ids...) })
	return c, &registry.Client{Namespace: c.Namespace, Name: c.Name, UID: string(c.UID)}
}

// change writes a client's status as somebody else than the server.
func change(t *testing.T, c *v1alpha1.OAuthClient, edit func(*v1alpha1.OAuthClientStatus)) {
	t.Helper()
	before := read(t, c).DeepCopy()
	edit(&c.Status)
	if err := admin.Status().Patch(t.Context(), c, client.MergeFrom(before), client.FieldOwner("somebody-else")); err != nil {
		t.Fatal(err)
	}
}

// read reads a client anew.
func read(t *testing.T, c *v1alpha1.OAuthClient) *v1alpha1.OAuthClient {
	t.Helper()
	key := client.ObjectKeyFromObject(c)
	*c = v1alpha1.OAuthClient{} // what is absent is not decoded
	if err := admin.Get(t.Context(), key, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// caughtUp waits until the replica's cache has what the API server has of the client.
func (r *replica) caughtUp(t *testing.T, c *v1alpha1.OAuthClient) {
	t.Helper()
	version := read(t, c).ResourceVersion
	eventually(t, "the cache has it", func(ctx context.Context) (bool, error) {
		var cached v1alpha1.OAuthClient
		err := r.Cache.Get(ctx, client.ObjectKeyFromObject(c), &cached)
		return cached.ResourceVersion == version, client.IgnoreNotFound(err)
	})
}

func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 30*time.Second, true, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
