// Package chaos does to a site of several servers what happens to sites: processes are killed and replaced, kube-apiserver goes
// away, many want the same thing at once. Controller, servers and control plane are processes of their own with the rights that they
// are installed with. Clients go on all the while, and try again what they may. What is counted is what a client was told and then
// turned out not to be so: an acknowledged token that is lost, a code or a refresh token that is honoured twice.
//
// As part of `make test` each fault is short. `make chaos` gives it its full size, and prints what was tried and what became of it.
package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

const (
	operatorNamespace = "latchkey-system"
	// patience bounds what takes its time on a busy machine.
	patience     = 2 * time.Minute
	pollInterval = 10 * time.Millisecond
)

// The sizes of faults; the defaults are those of `make test`.
var (
	flows   = flag.Int("flows", 100, "how many `flows` are under way at once when a process is killed or replaced")
	soakFor = flag.Duration("soak", 0, "how `long` the mixed work of a soak goes on")
	outage  = flag.Duration("outage", 6*time.Second, "how `long` kube-apiserver is away")
	races   = flag.Bool("races", true, "whether servers and controllers look for data races, which makes them several times slower")
	dir     = flag.String("dir", "", "new `directory` for the control plane's state and every process' log, which are left there; a temporary one when empty")
	// file is where the reports are kept. With it they are printed as well.
	file = flag.String("report", "", "`file` to write the reports to, as JSON; with it they are printed as well")
)

var (
	cluster *controlplane.ControlPlane
	// api is cluster-admin's client.
	api client.WithWatch
	// program is latchkey.
	program string
)

func TestMain(m *testing.M) {
	flag.Parse()
	log.SetLogger(logr.Discard())
	options := controlplane.Options{
		Dir: *dir, NoControllerManager: true,
		Manifests: []string{"config/namespace", "config/crd/bases", "config/rbac", "config/admission-policy"},
	}
	os.Exit(controlplane.Main(reporting{m}, options, func(cp *controlplane.ControlPlane) error {
		cluster = cp
		return prepare(context.Background())
	}))
}

// reporting runs the tests and then says what they found.
type reporting struct{ m *testing.M }

func (r reporting) Run() int {
	code := r.m.Run()
	if *file == "" {
		return code
	}
	if err := errors.Join(reports.print(os.Stdout), reports.write(*file)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// prepare builds the program and makes clients and identities.
func prepare(ctx context.Context) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	program = filepath.Join(cluster.Dir, "latchkey")
	// The module of the tests is below the repository's root.
	target := build.Target{Name: "latchkey", Dir: root, Package: ".", Output: program, Race: *races}
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
		if _, err := cluster.ServiceAccountKubeconfig(ctx, operatorNamespace, account, identity(account), *soakFor+time.Hour); err != nil {
			return err
		}
	}
	return nil
}

// identity is the kubeconfig of one of the operator's ServiceAccounts. What is written there lives as long as the control plane.
func identity(account string) string { return filepath.Join(cluster.Dir, account+".kubeconfig") }

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
