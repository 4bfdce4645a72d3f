// Package interop runs clients that others wrote, unmodified, against everything that `make run` starts: each through all
// that it can do, over https. Those of Go are called here. Those of npm are pinned in package-lock.json, with the Node that
// runs them; a script for each (harness.mjs) says where the user is to go, and what came of it.
package interop

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/hack/npm"
	"github.com/latchkey-io/latchkey/test/environment"
)

const (
	// patience bounds what takes its time on a busy machine.
	patience     = 30 * time.Second
	pollInterval = 10 * time.Millisecond
)

var (
	live   *environment.Environment
	direct *http.Client // for what is no browser's business
	core   kubernetes.Interface
	apps   *applications
)

func TestMain(m *testing.M) {
	os.Exit(environment.Main(m, func(e *environment.Environment) (err error) {
		live = e
		if direct, err = e.Client(); err != nil {
			return err
		}
		config, err := clientcmd.BuildConfigFromFlags("", e.Kubeconfig)
		if err != nil {
			return err
		}
		config.QPS = -1 // the API server is ours alone
		if core, err = kubernetes.NewForConfig(config); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the first npm ci loads from a registry
		defer cancel()
		if err := npm.Install(ctx, "."); err != nil {
			return err
		}
		apps, err = declare(ctx)
		return err
	}))
}
