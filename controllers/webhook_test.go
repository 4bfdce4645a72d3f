package controllers_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/controllers/certificate"
)

// newWebhook is what keeps kube-apiserver's Secret in the chancery's namespace, by the same clock.
func (c *chancery) newWebhook() *certificate.Webhook {
	return &certificate.Webhook{Client: still.api, Namespace: c.reconciler.Namespace, ServingSecret: servingSecret, Address: reviewAddress, Now: c.reconciler.Now}
}

func (c *chancery) reconcileWebhook(w *certificate.Webhook) *corev1.Secret {
	c.t.Helper()
	_, err := w.Reconcile(c.t.Context(), ctrl.Request{})
	must(c.t, err)
	return still.secret(c.t, w.Namespace, certificate.WebhookSecret)
}

// caller is the client certificate in the Secret, after a look that the review listener takes it.
func (c *chancery) caller(secret *corev1.Secret) *x509.Certificate {
	c.t.Helper()
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	must(c.t, err)
	c.takes(pair.Leaf)
	return pair.Leaf
}

func (c *chancery) takes(leaf *x509.Certificate) {
	c.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(still.secret(c.t, c.reconciler.Namespace, certificate.ClientAuthoritySecret).Data["ca.crt"])
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: c.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		c.t.Errorf("the client certificate is not taken: %v", err)
	}
}

// The files that the kubeconfig names are found beside it, wherever that is.
func TestWebhookSecretIsAKubeconfigWithItsFiles(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	w := c.newWebhook()
	secret := c.reconcileWebhook(w)
	c.caller(secret)
	dir := t.TempDir()
	for name, data := range secret.Data {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, certificate.KubeconfigKey))
	must(t, err)
	if config.Host != "https://10.96.0.20:9443/apis/authentication.k8s.io/v1/tokenreviews" {
		t.Errorf("server %s", config.Host)
	}
	for key, file := range map[string]string{"ca.crt": config.CAFile, "tls.crt": config.CertFile, "tls.key": config.KeyFile} {
		if file != filepath.Join(dir, key) {
			t.Errorf("%s is taken from %s", key, file)
		}
	}
	if serving := still.secret(t, w.Namespace, servingSecret); !bytes.Equal(secret.Data["ca.crt"], serving.Data["ca.crt"]) {
		t.Error("the bundle is not that of the serving certificate")
	}
	if again := c.reconcileWebhook(w); again.ResourceVersion != secret.ResourceVersion {
		t.Error("written without need")
	}
}

func TestWebhookClientCertificateIsRenewedAfterTwoThirdsOfItsLife(t *testing.T) {
	const day = 24 * time.Hour
	c := newChancery(t)
	c.reconcile()
	w := c.newWebhook()
	first := c.caller(c.reconcileWebhook(w))
	c.now = c.now.Add(243 * day)
	if same := c.caller(c.reconcileWebhook(w)); !same.Equal(first) {
		t.Error("renewed too early")
	}
	c.now = c.now.Add(day)
	if second := c.caller(c.reconcileWebhook(w)); second.Equal(first) {
		t.Error("not renewed")
	}
	c.takes(first) // until its own end
}

// A new authority is trusted beside the old one for as long as what that signed is good.
func TestOldWebhookAuthorityIsTrustedWhileItsCertificatesAreGood(t *testing.T) {
	const day = 24 * time.Hour
	c := newChancery(t)
	c.reconcile()
	w := c.newWebhook()
	c.reconcileWebhook(w)
	c.now = c.now.Add(10 * 365 * day / 3 * 2)
	old := c.caller(c.reconcileWebhook(w))
	c.now = c.now.Add(365*day - time.Hour)
	renewed := c.caller(c.reconcileWebhook(w))
	if renewed.Equal(old) {
		t.Error("not renewed")
	}
	c.takes(old)
	c.now = c.now.Add(3 * time.Hour)
	c.caller(c.reconcileWebhook(w))
	if n := certificates(still.secret(t, w.Namespace, certificate.ClientAuthoritySecret).Data["ca.crt"]); n != 1 {
		t.Errorf("%d authorities are trusted after the last certificate of the old one", n)
	}
}

func TestWebhookSecretOfSomebodyElseIsLeftAlone(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.reconciler.Namespace, Name: certificate.WebhookSecret}}
	still.create(t, secret)
	if after := c.reconcileWebhook(c.newWebhook()); after.ResourceVersion != secret.ResourceVersion {
		t.Error("the Secret was written")
	}
}

func TestControllerMakesTheWebhookSecret(t *testing.T) {
	key := client.ObjectKey{Namespace: operatorNamespace, Name: certificate.WebhookSecret}
	eventually(t, "a Secret for kube-apiserver", func() (bool, error) {
		var secret corev1.Secret
		err := running.api.Get(t.Context(), key, &secret)
		return err == nil && len(secret.Data[certificate.KubeconfigKey]) > 0, client.IgnoreNotFound(err)
	})
	eventually(t, "the serving certificate is for the review address", func() (bool, error) {
		pair, err := tls.X509KeyPair(running.secret(t, operatorNamespace, servingSecret).Data["tls.crt"], running.secret(t, operatorNamespace, servingSecret).Data["tls.key"])
		return err == nil && pair.Leaf.VerifyHostname("10.96.0.20") == nil, err
	})
}
