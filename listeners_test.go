package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/latchkey-io/latchkey/server/listen"
	"github.com/latchkey-io/latchkey/server/listen/listentest"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// nowhere is the kubeconfig of a cluster that nobody asks.
const nowhere = `
apiVersion: v1
kind: Config
current-context: it
contexts: [{name: it, context: {cluster: it, user: it}}]
clusters: [{name: it, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: it, user: {token: none}}]
`

// issuerURL is at no listener's address: an issuer without others on its path answers there, too.
const issuerURL = "https://login.example.com"

// certified is the files of a certificate for 127.0.0.1, and who trusts it.
type certified struct {
	cert, key string
	trust     *x509.CertPool
}

func newCertified(t *testing.T) certified {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	c := certified{
		cert:  written(t, "tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})),
		key:   written(t, "tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		trust: x509.NewCertPool(),
	}
	c.trust.AddCert(s.Certificate())
	return c
}

func written(t *testing.T, name string, content []byte) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// listeners are those of `latchkey server` with the flags, by name, where an issuer is known. What they keep is in memory.
func listeners(t *testing.T, c certified, flags ...string) map[string]listen.Listener {
	t.Helper()
	o, err := parseOptions("server", append([]string{
		"--kubeconfig=" + written(t, "kubeconfig", []byte(nowhere)), "--store=memory", "--http-bind-address=127.0.0.1:0",
		"--tls-cert-file=" + c.cert, "--tls-key-file=" + c.key, "--review-client-ca-file=" + c.cert,
	}, flags...))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProcess(o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if p.cache, err = cache.New(p.config, cache.Options{Scheme: p.client.Scheme(), Mapper: p.client.RESTMapper()}); err != nil { // never started
		t.Fatal(err)
	}
	p.holder.Store(registry.NewSnapshot([]*registry.Issuer{registrytest.Issuer(t, issuerURL, p.clock.Now())}))
	stores, err := p.places()
	if err = errors.Join(err, p.recordUsage()); err != nil {
		t.Fatal(err)
	}
	all, err := p.listeners(t.Context(), stores)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]listen.Listener{}
	for _, l := range all {
		named[l.Name] = l
	}
	return named
}

// Rows: oversized input; slow clients: of every listener of a server.
func TestListenersOfAServerBearTheWorstOfClients(t *testing.T) {
	c := newCertified(t)
	paths := map[string]string{"https": "/token", "http": "/token", "review": "/apis/authentication.k8s.io/v1/tokenreviews", "health": "/metrics"}
	all := listeners(t, c)
	if len(all) != len(paths) {
		t.Errorf("%d listeners", len(all))
	}
	for name, l := range all {
		t.Run(name, func(t *testing.T) {
			target := listentest.Target{Listener: l, Path: paths[name]}
			if l.TLS != nil {
				target.Trust = c.trust
			}
			listentest.Run(t, target)
		})
	}
}
