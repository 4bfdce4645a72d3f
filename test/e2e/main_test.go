// Package e2e holds what is true only of the whole: kubectl, kube-apiserver, controller and server as processes of their own
// with the rights that a cluster gives them, and clients that know nothing of each other's insides.
package e2e

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/test/environment"
)

const (
	// patience bounds what takes its time on a busy machine.
	patience = 30 * time.Second
	// enforced bounds what must not: from a change in Kubernetes to requests that are answered accordingly.
	enforced = 5 * time.Second
	// pollInterval is also how exact the measured times are.
	pollInterval = 5 * time.Millisecond

	operatorNamespace = "latchkey-system"
	sampleNamespace   = "demo"
)

var (
	live    *environment.Environment
	direct  *http.Client // for what is no browser's business
	core    kubernetes.Interface
	objects dynamic.Interface
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
		objects, err = dynamic.NewForConfig(config)
		return err
	}))
}

// resource is one of our kinds, in a namespace or, when that is empty, cluster-wide.
func resource(plural, namespace string) dynamic.ResourceInterface {
	r := objects.Resource(schema.GroupVersionResource{Group: "oauth.latchkey.io", Version: "v1alpha1", Resource: plural})
	if namespace == "" {
		return r
	}
	return r.Namespace(namespace)
}

// eventually waits for a condition, at most so long, and returns how long it took. An error of the condition ends the test.
func eventually(t *testing.T, what string, limit time.Duration, condition wait.ConditionWithContextFunc) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := wait.PollUntilContextTimeout(t.Context(), pollInterval, limit, true, condition); err != nil {
		t.Fatalf("%s: %v, after %v", what, err, time.Since(begin))
	}
	return time.Since(begin)
}

// kubectl runs kubectl as cluster-admin and returns what it prints.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := live.Kubectl(t.Context(), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func apply(t *testing.T, manifests string) {
	t.Helper()
	kubectl(t, manifests, "apply", "--server-side", "-f", "-")
}

// atEnd runs kubectl when the test is over.
func atEnd(t *testing.T, args ...string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := live.Kubectl(ctx, "", args...); err != nil {
			t.Error(err)
		}
	})
}

// unique is a name that no other test has.
func unique() string { return "e2e-" + strings.ToLower(rand.Text()[:10]) }

// condition is a condition of an object; its zero value when there is none of the object's present generation.
func condition(ctx context.Context, objects dynamic.ResourceInterface, name, kind string) (metav1.Condition, error) {
	o, err := objects.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return metav1.Condition{}, err
	}
	var read struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	if err := convert(o.Object, &read); err != nil {
		return metav1.Condition{}, err
	}
	for _, c := range read.Status.Conditions {
		if c.Type == kind && c.ObservedGeneration == o.GetGeneration() {
			return c, nil
		}
	}
	return metav1.Condition{}, nil
}

// ready waits until an object is honoured as it is written.
func ready(t *testing.T, objects dynamic.ResourceInterface, name string) {
	t.Helper()
	var last metav1.Condition
	defer func() {
		if t.Failed() {
			t.Logf("%s: %+v", name, last)
		}
	}()
	eventually(t, name+" is ready", patience, func(ctx context.Context) (bool, error) {
		now, err := condition(ctx, objects, name, "Ready")
		if err == nil {
			last = now
		}
		return now.Status == metav1.ConditionTrue, err
	})
}

// refused waits until a condition is False for that reason, and returns its message.
func refused(t *testing.T, objects dynamic.ResourceInterface, name, kind, reason string) string {
	t.Helper()
	return becomes(t, objects, name, kind, metav1.ConditionFalse, reason)
}

// disabled waits until an object is seen to be switched off, which is as it was declared.
func disabled(t *testing.T, objects dynamic.ResourceInterface, name string) {
	t.Helper()
	becomes(t, objects, name, "Ready", metav1.ConditionTrue, "Disabled")
}

// becomes waits until a condition has that status for that reason, and returns its message.
func becomes(t *testing.T, objects dynamic.ResourceInterface, name, kind string, status metav1.ConditionStatus, reason string) string {
	t.Helper()
	var last metav1.Condition
	defer func() {
		if t.Failed() {
			t.Logf("%s: %+v", name, last)
		}
	}()
	eventually(t, name+" has "+kind+"="+string(status)+" for "+reason, patience, func(ctx context.Context) (bool, error) {
		now, err := condition(ctx, objects, name, kind)
		if err == nil {
			last = now
		}
		return now.Status == status && now.Reason == reason, err
	})
	return last.Message
}
