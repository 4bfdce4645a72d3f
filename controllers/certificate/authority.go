// Package certificate makes and renews the certificate that the server serves with, and the one that kube-apiserver calls its
// reviewer with, each signed by an authority of its own, so that Latchkey needs no certificate manager. A serving Secret that
// somebody else made (cert-manager, say) is left alone.
package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	authorityLifetime = 10 * 365 * 24 * time.Hour
	// backdated lets clients whose clock is behind accept a new certificate.
	backdated = time.Hour
)

// purpose is what an authority and its certificates are for.
type purpose struct {
	// authority and leaf are how they are called (the subject's common name).
	authority, leaf string
	usage           x509.ExtKeyUsage
	// lifetime is how long a certificate is good for.
	lifetime time.Duration
}

// serving is for the server's listeners.
func serving() purpose {
	return purpose{"latchkey serving CA", "latchkey-server", x509.ExtKeyUsageServerAuth, 90 * 24 * time.Hour}
}

// calling is for kube-apiserver, which calls the reviewer. Its certificate lives as long as kubeadm's own do: it may be in a file that
// is brought up to date by hand.
func calling() purpose {
	return purpose{"latchkey webhook client CA", "kube-apiserver", x509.ExtKeyUsageClientAuth, 365 * 24 * time.Hour}
}

// authority signs certificates for one purpose.
type authority struct {
	purpose purpose
	// certs are what clients should trust, the newest first. That one signs; the others signed what may still be served.
	certs []*x509.Certificate
	key   *ecdsa.PrivateKey
}

// renew returns an authority that is good at the time now, made anew when there is none (a has no certificates) or when two thirds of
// its life are over. Old certificates stay in the bundle until nothing that they signed can be alive. It returns a itself
// when nothing has to change.
func (a *authority) renew(now time.Time) (*authority, error) {
	if len(a.certs) == 0 || !now.Before(renewal(a.certs[0])) {
		return newAuthority(a.purpose, now, a.certs)
	}
	if len(a.certs) > 1 && now.After(a.certs[0].NotBefore.Add(backdated+a.purpose.lifetime)) {
		return &authority{purpose: a.purpose, certs: a.certs[:1], key: a.key}, nil
	}
	return a, nil
}

func newAuthority(p purpose, now time.Time, old []*x509.Certificate) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial := newSerial()
	template := &x509.Certificate{
		SerialNumber: serial,
		// Names of old and new differ, so that no client takes one for the other.
		Subject:   pkix.Name{CommonName: p.authority + " " + hex.EncodeToString(serial.Bytes()[:4])},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{purpose: p, certs: append([]*x509.Certificate{cert}, old...), key: key}, nil
}

// parseAuthority reads what bundle and keyPEM wrote. Its errors hold nothing of the key.
func parseAuthority(p purpose, bundle, keyPEM []byte) (*authority, error) {
	certs, err := parseCertificates(bundle)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("the key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the key is not PKCS #8")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certs[0].PublicKey) || !certs[0].IsCA {
		return nil, errors.New("the key is not the ECDSA key of the first certificate, or that is no CA's")
	}
	return &authority{purpose: p, certs: certs, key: key}, nil
}

func parseCertificates(bundle []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(out)+1, err)
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no certificate")
	}
	return out, nil
}

// bundle is what clients should trust, as PEM.
func (a *authority) bundle() []byte {
	var out bytes.Buffer
	for _, c := range a.certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return out.Bytes()
}

func (a *authority) keyPEM() ([]byte, error) { return encodeKey(a.key) }

// issue makes a key and a certificate for the names, both PEM.
func (a *authority) issue(names []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	notAfter := now.Add(a.purpose.lifetime)
	if end := a.certs[0].NotAfter; end.Before(notAfter) {
		notAfter = end
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      pkix.Name{CommonName: a.purpose.leaf},
		NotBefore:    now.Add(-backdated), NotAfter: notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{a.purpose.usage},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certs[0], key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyPEM, err
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// renewal is when two thirds of a certificate's life are over.
func renewal(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 3 * 2)
}

// newSerial is a positive number of 127 bits (RFC 5280 section 4.1.2.2), whose first byte is not zero.
func newSerial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}
