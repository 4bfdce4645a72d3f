package controlplane_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/hack/controlplane"
)

// reviewServerTLS is how a webhook serves with the files it is given: its own certificate, and a client certificate required.
func reviewServerTLS(t *testing.T, files controlplane.ReviewFiles) *tls.Config {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(files.ServerCert, files.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(files.ClientCA)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", files.ClientCA)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}
}

// withoutCredentials writes a kubeconfig that knows the API server and no user.
func withoutCredentials(t *testing.T, cp *controlplane.ControlPlane) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cp.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.AuthInfos = nil
	for _, c := range config.Contexts {
		c.AuthInfo = ""
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}
