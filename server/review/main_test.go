package review_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientgo "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/review"
	"github.com/latchkey-io/latchkey/server/workload/workloadtest"
)

var (
	cluster *workloadtest.Cluster
	// webhook is what kube-apiserver reaches at its webhook's URL; tests put their handler there.
	webhook delegate
)

// delegate is a handler that can be exchanged.
type delegate struct {
	current atomic.Pointer[review.Handler]
}

func (d *delegate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := d.current.Load(); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	http.Error(w, "no test has put a handler here", http.StatusServiceUnavailable)
}

func TestMain(m *testing.M) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	options := controlplane.Options{NoControllerManager: true, ReviewURL: "https://" + socket.Addr().String() + v1Path}
	os.Exit(controlplane.Main(m, options, func(cp *controlplane.ControlPlane) error {
		if err := serveWebhook(cp, socket); err != nil {
			return err
		}
		var err error
		cluster, err = workloadtest.New(cp)
		return err
	}))
}

// serveWebhook listens as the server does: a client certificate is asked for and verified, and not required.
func serveWebhook(cp *controlplane.ControlPlane, socket net.Listener) error {
	certificate, err := tls.LoadX509KeyPair(cp.Review.ServerCert, cp.Review.ServerKey)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(cp.Review.ClientCA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	server := &http.Server{Handler: &webhook, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven,
	}}
	go func() {
		if err := server.ServeTLS(socket, "", ""); err != nil {
			slog.Info("the review listener has ended", "error", err)
		}
	}()
	return nil
}

// clientset is a client with another identity: none but a bearer token, or cluster-admin when it is empty.
func clientset(t *testing.T, cp *workloadtest.Cluster, bearer string) *clientgo.Clientset {
	t.Helper()
	config := cp.RESTConfig()
	if bearer != "" {
		config = rest.AnonymousClientConfig(config)
		config.BearerToken = bearer
	}
	client, err := clientgo.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// kubectlWith runs kubectl with a bearer token and no other credential.
func kubectlWith(t *testing.T, raw string, args ...string) (string, error) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		user.ClientCertificateData, user.ClientKeyData, user.Token = nil, nil, raw
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	out, _, err := cluster.Kubectl(t.Context(), append([]string{"--kubeconfig=" + file}, args...)...)
	return strings.TrimSpace(out), err
}
