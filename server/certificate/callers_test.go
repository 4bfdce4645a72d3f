package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// signer is an authority with one certificate for a caller.
type signer struct {
	bundle []byte
	caller tls.Certificate
}

func newSigner(t *testing.T, now time.Time) signer {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	sign := func(template, parent *x509.Certificate, public any, by *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	caKey, key := newKey(), newKey()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: now.Add(9 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: now.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	root := sign(ca, ca, caKey.Public(), caKey)
	return signer{
		bundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}),
		caller: tls.Certificate{Certificate: [][]byte{sign(leaf, ca, key.Public(), caKey)}, PrivateKey: key},
	}
}

// called serves with callers and says by what status whether the caller's certificate counts.
func called(t *testing.T, callers *Callers, now func() time.Time) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !callers.Proven(r.TLS, now()) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	s.TLS.GetConfigForClient = callers.Ask(s.TLS.Clone()).GetConfigForClient
	return s
}

// client keeps its connection, and its session for the next one.
func client(t *testing.T, s *httptest.Server, cert tls.Certificate) *http.Client {
	t.Helper()
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// status of a request, 0 when there is no connection.
func status(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	answer, err := c.Get(url)
	if err != nil {
		return 0
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	_, _ = io.Copy(io.Discard, answer.Body)    // so that the connection is kept
	return answer.StatusCode
}

func TestCallersAreProvenByTheAuthoritiesOfTheTime(t *testing.T) {
	now := time.Now()
	ours, theirs := newSigner(t, now), newSigner(t, now)
	callers := &Callers{}
	s := called(t, callers, func() time.Time { return now })
	known, stranger := client(t, s, ours.caller), client(t, s, theirs.caller)
	is := func(what string, c *http.Client, want int) {
		t.Helper()
		if got := status(t, c, s.URL); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	set := func(bundle []byte) {
		t.Helper()
		if err := callers.Set(bundle); err != nil {
			t.Fatal(err)
		}
	}
	is("before there is an authority", known, 401)
	known.CloseIdleConnections()
	set(ours.bundle)
	is("ours", known, 200)
	is("another authority's", stranger, 0)
	is("without a certificate", s.Client(), 401)
	set(append(append([]byte{}, ours.bundle...), theirs.bundle...))
	is("ours beside another", known, 200)
	is("the other", stranger, 200)
	set(theirs.bundle)
	is("on a connection from before its authority was replaced", known, 401)
	known.CloseIdleConnections()
	is("on a new connection after that", known, 0)
	now = now.Add(time.Hour)
	is("on a connection that outlasts the certificate", stranger, 401)
	set(nil)
	is("when the authorities are gone", stranger, 401)
}

func TestBrokenBundleLeavesNobodyProven(t *testing.T) {
	now := time.Now()
	ours := newSigner(t, now)
	for name, bad := range map[string][]byte{
		"garbage": []byte("x"), "no certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
	} {
		callers := &Callers{}
		if err := callers.Set(ours.bundle); err != nil {
			t.Fatal(err)
		}
		s := called(t, callers, func() time.Time { return now })
		if err := callers.Set(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
		if got := status(t, client(t, s, ours.caller), s.URL); got != 401 {
			t.Errorf("%s: %d", name, got)
		}
	}
}
