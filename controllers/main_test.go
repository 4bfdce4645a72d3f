package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers"
	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/storage"
)

const (
	operatorNamespace = "latchkey-system"
	servingSecret     = "latchkey-serving-cert"
	reviewAddress     = "10.96.0.20:9443"
	defaultIssuer     = "https://login.example.com"
)

// site is a control plane with what tests need to talk to it.
type site struct {
	cp  *controlplane.ControlPlane
	api client.Client
}

var (
	// running has the whole controller in it, and kube-controller-manager.
	running site
	// still has no controller: tests call reconcilers there, with a clock of their own.
	still site
	// healthAddress is where the controller of running says how it is.
	healthAddress string
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	manifests := []string{"config/crd/bases"}
	// The controller runs with the rights that it is installed with, so that every test is one of those, too.
	installed := append([]string{"config/namespace/namespace.yaml", "config/rbac/controller.yaml"}, manifests...)
	os.Exit(controlplane.Main(stopping{m}, controlplane.Options{Manifests: installed}, func(cp *controlplane.ControlPlane) error {
		quiet, err := controlplane.Start(context.Background(), controlplane.Options{Manifests: manifests, NoControllerManager: true, Log: io.Discard})
		if err != nil {
			return err
		}
		if still, err = open(quiet); err != nil {
			return err
		}
		if running, err = open(cp); err != nil {
			return err
		}
		return runController()
	}))
}

// stopping ends the second control plane when the tests are over.
type stopping struct{ m *testing.M }

func (s stopping) Run() int {
	code := s.m.Run()
	if err := still.cp.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

func open(cp *controlplane.ControlPlane) (site, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, _, err := cp.Kubectl(ctx, "wait", "--for=condition=Established", "crd", "--all"); err != nil {
		return site{}, err
	}
	scheme, err := controllers.Scheme()
	if err != nil {
		return site{}, err
	}
	api, err := client.New(cp.RESTConfig(), client.Options{Scheme: scheme})
	if err != nil {
		return site{}, err
	}
	return site{cp, api}, nil
}

// runController starts the controller in the control plane `running`, with the issuer `default`. It ends with the process.
func runController() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	healthAddress = listener.Addr().String()
	as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1alpha1.AuthorizationServerSpec{Issuer: defaultIssuer}}
	ctx := context.Background()
	identity := filepath.Join(running.cp.Dir, "controller.kubeconfig")
	if _, err := running.cp.ServiceAccountKubeconfig(ctx, operatorNamespace, "latchkey-controller", identity, time.Hour); err != nil {
		return err
	}
	account, err := clientcmd.BuildConfigFromFlags("", identity)
	if err != nil {
		return err
	}
	err = errors.Join(listener.Close(), running.api.Create(ctx, as),
		running.api.Create(ctx, grant(operatorNamespace, "long-expired", time.Now().Add(-time.Hour))))
	if err != nil {
		return err
	}
	go func() {
		if err := controllers.Run(ctx, config(account)); err != nil {
			panic(fmt.Sprintf("the controller ended: %v", err))
		}
	}()
	return nil
}

func config(identity *rest.Config) controllers.Config {
	return controllers.Config{
		REST: identity, Namespace: operatorNamespace, HealthBindAddress: healthAddress, LeaderElect: true,
		ServingSecret: servingSecret, ReviewAddress: reviewAddress, ServingNames: []string{"latchkey-server.latchkey-system.svc"}, Now: time.Now, Logger: logr.Discard(),
		CheckStorage: storage.Check, PurgeStorage: storage.Purge,
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() (bool, error)) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return condition() })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s site) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		must(t, s.api.Create(t.Context(), o))
	}
}

// change reads the object, changes it and writes it, as often as somebody else is quicker.
func change[T client.Object](t *testing.T, s site, o T, edit func(T)) {
	t.Helper()
	eventually(t, "write "+o.GetName(), func() (bool, error) {
		must(t, s.api.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		edit(o)
		err := s.api.Update(t.Context(), o)
		return err == nil, ignoreConflict(err)
	})
}

func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// namespace makes a namespace of the test's own.
func (s site) namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	s.create(t, ns)
	return ns.Name
}

func (s site) secret(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	must(t, s.api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &secret))
	return &secret
}

func (s site) gone(t *testing.T, o client.Object) func() (bool, error) {
	return func() (bool, error) {
		err := s.api.Get(t.Context(), client.ObjectKeyFromObject(o), o)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
}

// recorder records Events in the control plane, as a manager's would.
func (s site) recorder(t *testing.T) events.EventRecorder {
	t.Helper()
	clients, err := kubernetes.NewForConfig(s.cp.RESTConfig())
	must(t, err)
	scheme, err := controllers.Scheme()
	must(t, err)
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: clients.EventsV1()})
	t.Cleanup(broadcaster.Shutdown)
	must(t, broadcaster.StartRecordingToSinkWithContext(t.Context()))
	return broadcaster.NewRecorder(scheme, "latchkey-controller")
}

// says tells whether the condition has the status and reason.
func says(conditions []metav1.Condition, kind string, status metav1.ConditionStatus, reason string) bool {
	c := meta.FindStatusCondition(conditions, kind)
	return c != nil && c.Status == status && c.Reason == reason
}
