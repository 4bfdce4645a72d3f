package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// Callers holds the authorities that vouch for the callers of a listener who show a certificate. They may be replaced while the listener
// serves. The zero Callers has none, and nobody is asked for a certificate.
type Callers struct {
	current atomic.Pointer[authorities]
}

type authorities struct {
	certs []*x509.Certificate
	pool  *x509.CertPool
}

// Set replaces the authorities by the PEM-encoded bundle; none when that is empty. One that can't be read leaves none either: nobody is
// to be believed because of what somebody meant to replace.
func (c *Callers) Set(bundle []byte) error {
	if len(bundle) == 0 {
		c.current.Store(nil)
		return nil
	}
	next := &authorities{pool: x509.NewCertPool()}
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			c.current.Store(nil)
			return errors.New("certificate: the bundle holds something that is no certificate")
		}
		next.certs = append(next.certs, cert)
		next.pool.AddCert(cert)
	}
	if len(next.certs) == 0 {
		c.current.Store(nil)
		return errors.New("certificate: the bundle holds no PEM certificate")
	}
	c.current.Store(next)
	return nil
}

// Ask makes a configuration of base that asks for a certificate, and verifies it if one is given, for as long as there are authorities. No
// session is resumed: each connection is looked at anew.
func (c *Callers) Ask(base *tls.Config) *tls.Config {
	base = base.Clone()
	base.SessionTicketsDisabled = true
	config := base.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		trusted := c.current.Load()
		if trusted == nil { // crypto/tls would take the system's authorities
			return base, nil
		}
		asking := base.Clone()
		asking.ClientCAs, asking.ClientAuth = trusted.pool, tls.VerifyClientCertIfGiven
		return asking, nil
	}
	return config
}

// Proven says whether the peer of a connection is vouched for at the time now: a connection can outlast both its certificate and the
// trust in who signed that.
func (c *Callers) Proven(state *tls.ConnectionState, now time.Time) bool {
	trusted := c.current.Load()
	return trusted != nil && slices.ContainsFunc(state.VerifiedChains, func(chain []*x509.Certificate) bool {
		return now.Before(chain[0].NotAfter) && slices.ContainsFunc(trusted.certs, chain[len(chain)-1].Equal)
	})
}
