package tenancy

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/latchkey-io/latchkey/hack/controlplane"
)

const operatorNamespace = "latchkey-system"

var (
	cluster *controlplane.ControlPlane
	// warned is what kube-apiserver warns of.
	warned warnings
)

// warnings keeps the texts of the warnings that the API server sends. A request that it only half understands tries nothing.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

// take returns those that came since it was called last.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	texts := w.texts
	w.texts = nil
	return texts
}

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{Manifests: []string{"config/crd"}}, func(cp *controlplane.ControlPlane) error {
		cluster = cp
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, manifests := range []string{"test/tenancy/testdata/objects.yaml", "config/default", "test/tenancy/testdata/roles.yaml"} {
			if err := cp.Apply(ctx, manifests); err != nil {
				return err
			}
		}
		return inForce(ctx)
	}))
}

// inForce waits until kube-apiserver has taken up what it was given: both policies, and the rights that its controllers
// aggregate into the cluster's own roles.
func inForce(ctx context.Context) error {
	platform, admin := actorNamed("cluster-admin"), actorNamed("admin of the namespace")
	var last error
	ready := func(ctx context.Context) (bool, error) {
		for _, refused := range []Cell{{Resource: "oauthgrants", Place: Operator}, {Resource: "oauthclients/status", Place: Team}} {
			if last = try(ctx, platform, refused, "patch"); !apierrors.IsForbidden(last) {
				return false, nil
			}
		}
		for _, verb := range []string{"get", "patch", "review"} {
			if last = try(ctx, admin, Cell{Resource: "resourceservers", Place: Team}, verb); last != nil {
				return false, nil
			}
		}
		return true, nil
	}
	if err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, ready); err != nil {
		return fmt.Errorf("policies and aggregated roles are not in force: %w, %w", err, last)
	}
	return nil
}

// actor is somebody whom the table has a column for.
type actor struct {
	user   string
	groups []string
}

// actorNamed is whom a column is about; nobody has an empty name.
func actorNamed(column string) actor {
	everybody := []string{"system:authenticated"}
	ours := append([]string{"system:serviceaccounts", "system:serviceaccounts:" + operatorNamespace}, everybody...)
	return map[string]actor{
		"viewer of the namespace": {"viewer", everybody},
		"editor of the namespace": {"editor", everybody},
		"admin of the namespace":  {"admin", everybody},
		"cluster-admin":           {"platform", everybody},
		"latchkey-controller":     {"system:serviceaccount:" + operatorNamespace + ":latchkey-controller", ours},
		"latchkey-server":         {"system:serviceaccount:" + operatorNamespace + ":latchkey-server", ours},
	}[column]
}

// config is the control plane's, as that actor.
func (a actor) config() *rest.Config {
	config := cluster.RESTConfig()
	config.QPS = -1 // the API server is ours alone
	config.WarningHandler = &warned
	if a.user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: a.user, Groups: a.groups}
	}
	return config
}

func clientset() (kubernetes.Interface, error) { return kubernetes.NewForConfig(actor{}.config()) }
