// Package faults holds what is promised while kube-apiserver is slow, refuses, loses replies or restarts, while controllers are
// killed or several at once, and against tenants whose objects are made to do harm. Controller and server are processes of
// their own with the rights that they are installed with; between them and a real kube-apiserver stands a proxy that fails.
package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/go-logr/logr"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
	"github.com/latchkey-io/latchkey/test/apiproxy"
)

const (
	operatorNamespace = "latchkey-system"
	// patience bounds what takes its time on a busy machine.
	patience     = 2 * time.Minute
	pollInterval = 20 * time.Millisecond
	stopGrace    = 5 * time.Second
)

var (
	cluster *controlplane.ControlPlane
	// api is cluster-admin's client, past every fault.
	api client.WithWatch
	// program is latchkey, directory where its processes have their files.
	program, directory string
	// issuer is the URL of AuthorizationServer `default`, served all the time.
	issuer string
	// serverHealth and serverProcess are the server's.
	serverHealth  string
	serverProcess *process.Process
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Parallel tests wait for time to pass, not for a processor.
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	log.SetLogger(logr.Discard())
	options := controlplane.Options{Manifests: []string{"config/namespace", "config/crd/bases", "config/rbac", "config/admission-policy"}}
	os.Exit(controlplane.Main(stopping{m}, options, func(cp *controlplane.ControlPlane) error {
		cluster = cp
		return prepare(context.Background())
	}))
}

// stopping ends the processes that no test ends.
type stopping struct{ m *testing.M }

func (s stopping) Run() int {
	code := s.m.Run()
	err := serverProcess.Stop(stopGrace)
	if c := companion.Load(); c != nil {
		err = errors.Join(err, c.present().Stop(stopGrace))
		c.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// prepare builds the program, makes clients, and starts the server and the issuer `default`.
func prepare(ctx context.Context) (err error) {
	root, err := build.Root()
	if err != nil {
		return err
	}
	directory = cluster.Dir // removed with it
	program = filepath.Join(directory, "latchkey")
	// The module of the tests is below the repository's root.
	target := build.Target{Name: "latchkey", Dir: root, Package: ".", Output: program}
	if err := target.Run(ctx, os.Stderr); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	if api, err = client.NewWithWatch(cluster.RESTConfig(), client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for _, account := range []string{"latchkey-controller", "latchkey-server"} {
		if _, err := cluster.ServiceAccountKubeconfig(ctx, operatorNamespace, account, identity(account), time.Hour); err != nil {
			return err
		}
	}
	return startServer(ctx)
}

// identity is the kubeconfig of one of the operator's ServiceAccounts.
func identity(account string) string { return filepath.Join(directory, account+".kubeconfig") }

func startServer(ctx context.Context) error {
	ports, err := controlplane.FreePorts(4)
	if err != nil {
		return err
	}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	issuer, serverHealth = "http://"+address(0), "http://"+address(1)
	serverProcess, err = process.Start(process.Options{
		Name: "latchkey-server", Path: program, LogFile: filepath.Join(directory, "latchkey-server.log"),
		Args: []string{"server", "--kubeconfig=" + identity("latchkey-server"), "--namespace=" + operatorNamespace, "--http-bind-address=" + address(0),
			"--health-bind-address=" + address(1), "--bind-address=" + address(2), "--review-bind-address=" + address(3),
			"--tls-cert-file=" + cluster.Review.ServerCert, "--tls-key-file=" + cluster.Review.ServerKey},
	})
	if err != nil {
		return err
	}
	as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1alpha1.AuthorizationServerSpec{Issuer: issuer}}
	if err := api.Create(ctx, as); err != nil {
		return err
	}
	if err := wait.PollUntilContextTimeout(ctx, pollInterval, patience, true, answers(serverHealth+"/readyz")); err != nil {
		return fmt.Errorf("the server is not ready: %w; %s", err, serverProcess.Tail())
	}
	return nil
}

// answers says whether a URL answers 200.
func answers(url string) wait.ConditionWithContextFunc {
	return func(ctx context.Context) (bool, error) {
		_, err := fetch(ctx, url)
		return err == nil, nil
	}
}

func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return string(text), err
}

// controller is a controller's process, with the API server as it sees it.
type controller struct {
	*apiproxy.Proxy
	health string
	args   []string
	log    string
	// process is the present one: a controller that was killed is started again.
	process *process.Process
	mu      sync.Mutex
}

// newController starts a controller that asks nobody whether it may act.
func newController() (_ *controller, err error) {
	proxy, err := apiproxy.Start(cluster.RESTConfig())
	if err != nil {
		return nil, err
	}
	ports, err := controlplane.FreePorts(1)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	kubeconfig := filepath.Join(directory, fmt.Sprintf("controller-%d.kubeconfig", ports[0]))
	if err := proxy.Kubeconfig(identity("latchkey-controller"), kubeconfig); err != nil {
		return nil, err
	}
	c := &controller{Proxy: proxy, health: "http://" + address, log: filepath.Join(directory, fmt.Sprintf("controller-%d.log", ports[0])),
		args: []string{"controller", "--kubeconfig=" + kubeconfig, "--namespace=" + operatorNamespace, "--health-bind-address=" + address, "--leader-elect=false"}}
	return c, c.start()
}

// startController starts a controller for a test that is alone, until it ends.
func startController(t *testing.T) *controller {
	t.Helper()
	c, err := newController()
	must(t, err)
	t.Cleanup(func() {
		must(t, c.present().Stop(stopGrace))
		c.Close()
		if t.Failed() {
			t.Logf("the end of the controller's log:\n%s", c.present().Tail())
		}
	})
	eventually(t, "the controller is ready", answers(c.health+"/readyz"))
	return c
}

// companion is the controller of tests that run in parallel, each with faults for its own namespace alone.
var (
	companion atomic.Pointer[controller]
	together  = sync.OnceValues(func() (*controller, error) {
		c, err := newController()
		companion.Store(c)
		return c, err
	})
)

// shared is that controller. Parallel tests begin when those that are alone, each with controllers of its own, are over.
func shared(t *testing.T) *controller {
	t.Helper()
	c, err := together()
	must(t, err)
	eventually(t, "the controller is ready", answers(c.health+"/readyz"))
	return c
}

// start starts the process and does not wait for it.
func (c *controller) start() (err error) {
	c.process, err = process.Start(process.Options{Name: "latchkey-controller", Path: program, Args: c.args, LogFile: c.log})
	return err
}

// present is the process that runs now.
func (c *controller) present() *process.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.process
}

// kill ends the process as a machine that is switched off does, and starts another.
func (c *controller) kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := syscall.Kill(c.process.PID(), syscall.SIGKILL)
	<-c.process.Done()
	return errors.Join(err, c.start())
}

// kindOf is the kind that an object has.
func kindOf(t *testing.T, o client.Object) schema.GroupVersionKind {
	t.Helper()
	kind, err := apiutil.GVKForObject(o, api.Scheme())
	must(t, err)
	return kind
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition. An error of the condition ends the test.
func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	begin := time.Now()
	if err := wait.PollUntilContextTimeout(t.Context(), pollInterval, patience, true, condition); err != nil {
		t.Fatalf("%s: %v, after %v", what, err, time.Since(begin))
	}
}

// metric is a value in the text format of Prometheus.
func metric(t *testing.T, text, name string) float64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			must(t, err)
			return v
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
