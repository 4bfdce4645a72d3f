// Package certificate holds the serving certificate of a listener, which may be replaced while the listener serves.
package certificate

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
)

// Holder holds the current certificate. The zero Holder has none yet.
type Holder struct {
	current atomic.Pointer[tls.Certificate]
}

// ErrNone is returned while there is no certificate.
var ErrNone = errors.New("certificate: there is no serving certificate yet")

// Set replaces the certificate by the PEM-encoded chain and key. When they do not fit, the current one stays.
func (h *Holder) Set(chain, key []byte) error {
	c, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return errors.New("certificate: the chain and the key are not a valid pair") // the cause could hold parts of the key
	}
	h.current.Store(&c)
	return nil
}

// Get has the form of tls.Config.GetCertificate.
func (h *Holder) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := h.current.Load(); c != nil {
		return c, nil
	}
	return nil, ErrNone
}

// Ready says whether there is a certificate.
func (h *Holder) Ready() error {
	_, err := h.Get(nil)
	return err
}
