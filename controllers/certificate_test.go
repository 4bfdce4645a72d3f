package controllers_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/certificate"
)

// chancery is a serving certificate in a namespace of the control plane `still`, with a clock.
type chancery struct {
	t          *testing.T
	reconciler *certificate.Reconciler
	now        time.Time
}

func newChancery(t *testing.T) *chancery {
	t.Helper()
	c := &chancery{t: t, now: time.Now()}
	c.reconciler = &certificate.Reconciler{Client: still.api, Namespace: still.namespace(t, nil), ServingSecret: servingSecret,
		Names: []string{"latchkey-server.latchkey-system.svc", "127.0.0.1"}, Now: func() time.Time { return c.now }}
	return c
}

func (c *chancery) reconcile() {
	c.t.Helper()
	_, err := c.reconciler.Reconcile(c.t.Context(), ctrl.Request{})
	must(c.t, err)
}

// leaf is the certificate in the serving Secret, with the bundle beside it, after a look that it is good for the name.
func (c *chancery) leaf(name string) (*x509.Certificate, []byte) {
	c.t.Helper()
	secret := still.secret(c.t, c.reconciler.Namespace, servingSecret)
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	must(c.t, err)
	bundle := secret.Data["ca.crt"]
	c.verify(pair.Leaf, bundle, name)
	return pair.Leaf, bundle
}

func (c *chancery) verify(leaf *x509.Certificate, bundle []byte, name string) {
	c.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: c.now}); err != nil {
		c.t.Errorf("the certificate is no good for %s: %v", name, err)
	}
}

func TestServingCertificateIsForTheIssuersAndTheNamesGiven(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	c.leaf("latchkey-server.latchkey-system.svc")
	c.leaf("127.0.0.1")
	for _, as := range []*v1alpha1.AuthorizationServer{
		{ObjectMeta: metav1.ObjectMeta{Name: "tls"}, Spec: v1alpha1.AuthorizationServerSpec{Issuer: "https://tls.example.com:8443/tenant"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "plain"}, Spec: v1alpha1.AuthorizationServerSpec{Issuer: "http://localhost:20001"}},
	} {
		still.create(t, as)
		t.Cleanup(func() { must(t, still.api.Delete(context.Background(), as)) })
	}
	c.reconcile()
	leaf, _ := c.leaf("tls.example.com")
	if slices.Contains(leaf.DNSNames, "localhost") {
		t.Error("the certificate is for the host of an http issuer")
	}
	before := still.secret(t, c.reconciler.Namespace, servingSecret).ResourceVersion
	c.reconcile()
	if still.secret(t, c.reconciler.Namespace, servingSecret).ResourceVersion != before {
		t.Error("written without need")
	}
}

func TestServingCertificateIsRenewedAfterTwoThirdsOfItsLife(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	first, bundle := c.leaf("127.0.0.1")
	c.now = c.now.Add(59 * 24 * time.Hour)
	c.reconcile()
	if same, _ := c.leaf("127.0.0.1"); !same.Equal(first) {
		t.Error("renewed too early")
	}
	c.now = c.now.Add(2 * 24 * time.Hour)
	c.reconcile()
	second, sameBundle := c.leaf("127.0.0.1")
	if second.Equal(first) || !bytes.Equal(bundle, sameBundle) {
		t.Error("not renewed, or by another authority")
	}
}

func TestOldAuthorityIsTrustedWhileItsCertificatesCanBeServed(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	c.now = c.now.Add(10 * 365 * 24 * time.Hour / 3 * 2)
	c.reconcile()
	leaf, bundle := c.leaf("127.0.0.1")
	if got := certificates(bundle); got != 2 {
		t.Fatalf("%d authorities in the bundle after the change, want the old and the new", got)
	}
	// The old authority's leaf is served on until its own renewal, and clients with either bundle accept what is served.
	c.now = c.now.Add(61 * 24 * time.Hour)
	c.reconcile()
	renewed, later := c.leaf("127.0.0.1")
	c.verify(leaf, later, "127.0.0.1")
	c.verify(renewed, bundle, "127.0.0.1")
	c.now = c.now.Add(31 * 24 * time.Hour)
	c.reconcile()
	if _, last := c.leaf("127.0.0.1"); certificates(last) != 1 {
		t.Error("the old authority is trusted for longer than anything it signed lives")
	}
}

func TestServingCertificateOfSomebodyElseIsLeftAlone(t *testing.T) {
	source := newChancery(t)
	source.reconcile()
	theirs := still.secret(t, source.reconciler.Namespace, servingSecret)
	c := newChancery(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.reconciler.Namespace, Name: servingSecret}, Type: corev1.SecretTypeTLS, Data: theirs.Data}
	still.create(t, secret)
	c.now = c.now.Add(300 * 24 * time.Hour)
	c.reconcile()
	if still.secret(t, secret.Namespace, secret.Name).ResourceVersion != secret.ResourceVersion {
		t.Error("the Secret was written")
	}
}

func TestAuthorityOfSomebodyElseIsUsedAndNotReplaced(t *testing.T) {
	source := newChancery(t)
	source.reconcile()
	theirs := still.secret(t, source.reconciler.Namespace, certificate.AuthoritySecret)
	c := newChancery(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.reconciler.Namespace, Name: certificate.AuthoritySecret}, Data: theirs.Data}
	still.create(t, secret)
	c.reconcile()
	if _, bundle := c.leaf("127.0.0.1"); !bytes.Equal(bundle, theirs.Data["ca.crt"]) {
		t.Error("another authority signed")
	}
	if still.secret(t, secret.Namespace, secret.Name).ResourceVersion != secret.ResourceVersion {
		t.Error("the authority was written")
	}
}

// Every write brings an event, and an event another look: a certificate that is no good from the start must not be written.
func TestExpiredAuthorityOfSomebodyElseIssuesNothing(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	theirs := still.secret(t, c.reconciler.Namespace, certificate.AuthoritySecret)
	theirs.Labels = nil
	must(t, still.api.Update(t.Context(), theirs))
	before := still.secret(t, c.reconciler.Namespace, servingSecret)
	c.now = c.now.Add(11 * 365 * 24 * time.Hour)
	if _, err := c.reconciler.Reconcile(t.Context(), ctrl.Request{}); err == nil || !strings.Contains(err.Error(), "replace the authority") {
		t.Errorf("got %v", err)
	}
	if after := still.secret(t, c.reconciler.Namespace, servingSecret); after.ResourceVersion != before.ResourceVersion {
		t.Error("the serving Secret was written")
	}
}

func TestBrokenServingCertificateIsReplaced(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	for _, name := range []string{servingSecret, certificate.AuthoritySecret} {
		secret := still.secret(t, c.reconciler.Namespace, name)
		for key := range secret.Data {
			secret.Data[key] = []byte("broken")
		}
		must(t, still.api.Update(t.Context(), secret))
		c.reconcile()
		c.leaf("127.0.0.1")
	}
}

func TestControllerMakesTheServingCertificate(t *testing.T) {
	eventually(t, "a certificate for the default issuer", func() (bool, error) {
		var secret corev1.Secret
		err := running.api.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: servingSecret}, &secret)
		if err != nil {
			return false, client.IgnoreNotFound(err)
		}
		pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
		return err == nil && pair.Leaf.VerifyHostname("login.example.com") == nil, err
	})
}

func certificates(bundle []byte) int {
	n := 0
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		n++
	}
	return n
}
