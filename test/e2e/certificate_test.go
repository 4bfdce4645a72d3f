package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestServingCertificateIsMadeAnewAndServed(t *testing.T) {
	before, err := served(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	started := processStart(t)
	kubectl(t, "", "delete", "secret", "-n", operatorNamespace, "latchkey-serving-cert")
	var after *x509.Certificate
	took := eventually(t, "another certificate is served", patience, func(ctx context.Context) (_ bool, err error) {
		// Every handshake on the way succeeds, and by a certificate that verifies.
		after, err = served(ctx)
		return err == nil && after.SerialNumber.Cmp(before.SerialNumber) != 0, err
	})
	t.Logf("served %v after `kubectl delete secret` returned, until %v", took, after.NotAfter)
	secret, err := core.CoreV1().Secrets(operatorNamespace).Get(t.Context(), "latchkey-serving-cert", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	if !pair.Leaf.Equal(after) {
		t.Error("what is served is not what the Secret holds")
	}
	if now := processStart(t); now != started {
		t.Errorf("the server was restarted: %v, %v", started, now)
	}
}

// served is the certificate that the https issuer shows, verified for its host.
func served(ctx context.Context) (*x509.Certificate, error) {
	issuer, err := url.Parse(live.Issuer)
	if err != nil {
		return nil, err
	}
	config := direct.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = issuer.Hostname()
	dialer := tls.Dialer{Config: config}
	connection, err := dialer.DialContext(ctx, "tcp", issuer.Host)
	if err != nil {
		return nil, err
	}
	leaf := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
	return leaf, connection.Close()
}

// processStart is when the server was started, in seconds since the epoch.
func processStart(t *testing.T) float64 {
	t.Helper()
	starts := samples(t, serverMetrics(t), "process_start_time_seconds", func(map[string]string) string { return "server" })
	if starts["server"] == 0 {
		t.Fatal("the server does not say when it started")
	}
	return starts["server"]
}
