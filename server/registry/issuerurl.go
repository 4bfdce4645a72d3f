package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
)

// IssuerURL is an issuer identifier and what follows from it, worked out once.
type IssuerURL struct {
	// URL is the issuer identifier, Host its host and port as browsers send them, Path its path without a trailing slash.
	URL, Host, Path string
	// Secure is true for https, Loopback for a host that is the machine itself.
	Secure, Loopback bool
	// Tag is a short hash of URL. It tells the cookies of issuers on one host apart.
	Tag string
}

// ParseIssuerURL reads an issuer identifier; an error when it is not an absolute URL with a host.
func ParseIssuerURL(issuer string) (IssuerURL, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return IssuerURL{}, err
	}
	if u.Scheme == "" || u.Host == "" {
		return IssuerURL{}, fmt.Errorf("registry: %q is not an absolute URL", issuer)
	}
	sum := sha256.Sum256([]byte(issuer))
	return IssuerURL{
		URL: issuer, Host: u.Host, Path: u.Path,
		Secure: u.Scheme == "https", Loopback: loopback(u.Hostname()), Tag: hex.EncodeToString(sum[:8]),
	}, nil
}

// Hostname is the host without its port.
func (u *IssuerURL) Hostname() string { return (&url.URL{Host: u.Host}).Hostname() }

// Endpoint is the URL of an endpoint of the issuer; path starts with a slash.
func (u *IssuerURL) Endpoint(path string) string { return u.URL + path }

func loopback(hostname string) bool {
	ip, err := netip.ParseAddr(hostname)
	return hostname == "localhost" || err == nil && ip.IsLoopback()
}
