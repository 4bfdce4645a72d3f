package controlplane_test

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/hack/controlplane"
)

func startOwn(t *testing.T, options controlplane.Options) *controlplane.ControlPlane {
	t.Helper()
	options.Log = t.Output()
	cp, err := controlplane.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cp
}

func TestStopLeavesNothingBehind(t *testing.T) {
	cp := startOwn(t, controlplane.Options{})
	if len(processesMentioning(t, cp.Dir)) < 3 {
		t.Errorf("fewer than three processes run with %s", cp.Dir)
	}
	if err := cp.Stop(); err != nil {
		t.Fatal(err)
	}
	if left := processesMentioning(t, cp.Dir); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
	if _, err := os.Stat(cp.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", cp.Dir, err)
	}
}

func TestAPIServerComesBackWithItsData(t *testing.T) {
	cp := startOwn(t, controlplane.Options{NoControllerManager: true})
	if _, _, err := cp.Kubectl(t.Context(), "create", "namespace", "kept"); err != nil {
		t.Fatal(err)
	}
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	client := clientset(t, cp)
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "kept", metav1.GetOptions{}); err == nil {
		t.Fatal("the API server still answers")
	}
	if err := cp.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-cp.Failed():
		t.Errorf("a stop on purpose counts as a failure: %v", err)
	default:
	}
}

func TestUnknownTokensAreReviewedAtTheGivenURL(t *testing.T) {
	asked := make(chan *http.Request, 16)
	webhook := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer webhook.Close()
	url := "https://" + webhook.Listener.Addr().String() + "/apis/authentication.k8s.io/v1/tokenreviews"
	cp := startOwn(t, controlplane.Options{NoControllerManager: true, ReviewURL: url})
	webhook.TLS = reviewServerTLS(t, cp.Review)
	webhook.StartTLS()

	if _, _, err := cp.Kubectl(t.Context(), "--kubeconfig="+withoutCredentials(t, cp), "--token=unknown", "get", "namespaces"); err == nil {
		t.Fatal("an unknown token was accepted")
	}
	select {
	case r := <-asked:
		if r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" {
			t.Errorf("asked at %s", r.URL.Path)
		}
		if len(r.TLS.VerifiedChains) == 0 {
			t.Error("kube-apiserver showed no client certificate")
		}
	default:
		t.Error("the webhook was not asked")
	}
}

func TestAFailedStartShowsTheLog(t *testing.T) {
	_, err := controlplane.Start(t.Context(), controlplane.Options{
		Dir: t.TempDir(), NoControllerManager: true, ExtraAPIServerArgs: []string{"--no-such-flag"},
	})
	if err == nil || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Errorf("got %v", err)
	}
}

func TestTheDeathOfAComponentIsReported(t *testing.T) {
	cp := startOwn(t, controlplane.Options{NoControllerManager: true})
	if _, err := controlplane.Start(t.Context(), controlplane.Options{Dir: cp.Dir}); err == nil || !strings.Contains(err.Error(), "another control plane") {
		t.Errorf("started in a directory in use: %v", err)
	}
	for _, pid := range processesMentioning(t, "--data-dir="+cp.Dir) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-cp.Failed():
		if !strings.Contains(err.Error(), "etcd ended unexpectedly (signal: killed)") {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("nothing was reported")
	}
}

// processesMentioning finds processes by their command lines.
func processesMentioning(t *testing.T, text string) (found []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(line), text) {
			continue // also a process that has ended in the meantime
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, pid)
	}
	return found
}
