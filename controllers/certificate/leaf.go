package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// names are the subject alternative names the server needs: the hosts of its https issuers, and those it was told. Sorted, and as
// sans reads them back. A host that no certificate can be for is left out, for the others' sake.
func names(issuers, extra []string) []string {
	var out []string
	add := func(name string) {
		if ip := net.ParseIP(name); ip != nil {
			out = append(out, ip.String())
		} else if len(validation.IsDNS1123Subdomain(strings.TrimPrefix(name, "*."))) == 0 {
			out = append(out, name)
		}
	}
	for _, name := range extra {
		add(name)
	}
	for _, issuer := range issuers {
		if u, err := url.Parse(issuer); err == nil && u.Scheme == "https" {
			add(u.Hostname())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// stale says why a certificate must be issued again; "" when it is good. A new authority alone is no reason: the certificate
// is used on until its own renewal, which gives the other side time to learn the new authority.
func (a *authority) stale(certPEM, keyPEM []byte, wanted []string, now time.Time) string {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return "it does not parse"
	}
	leaf := pair.Leaf
	if has := sans(leaf); !slices.Equal(has, wanted) {
		return fmt.Sprintf("its names are %v instead of %v", has, wanted)
	}
	roots := x509.NewCertPool()
	for _, c := range a.certs {
		roots.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{a.purpose.usage}}); err != nil {
		return "the authority did not sign it, or it has expired"
	}
	if !now.Before(renewal(leaf)) {
		return "two thirds of its life are over"
	}
	return ""
}

func sans(c *x509.Certificate) []string {
	out := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	slices.Sort(out)
	return out
}
