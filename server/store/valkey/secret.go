package valkey

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// The keys of the Secret that says how the server is reached.
const (
	keyAddresses        = "addresses"
	keyMasterName       = "masterName"
	keyUsername         = "username"
	keyPassword         = "password"
	keySentinelUsername = "sentinelUsername"
	keySentinelPassword = "sentinelPassword"
	keyPrefix           = "prefix"
	keyTLS              = "tls"
	keyCA               = "ca.crt"
	keyCert             = "tls.crt"
	keyKey              = "tls.key"
)

// maxAddresses bounds what is tried one after the other.
const maxAddresses = 32

// ParseSecret reads the data of a Secret. Its errors name the key and never quote a value.
func ParseSecret(data map[string][]byte) (Config, error) {
	text := func(key string) string { return strings.TrimSpace(string(data[key])) }
	c := Config{
		Addresses:  strings.FieldsFunc(text(keyAddresses), func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }),
		MasterName: text(keyMasterName), Prefix: text(keyPrefix),
		Username: text(keyUsername), Password: text(keyPassword),
		SentinelUsername: text(keySentinelUsername), SentinelPassword: text(keySentinelPassword),
	}
	if len(c.Addresses) == 0 {
		return Config{}, fmt.Errorf("its key %s is missing: host:port of the server, of Sentinels or of nodes of a Cluster, separated by commas", keyAddresses)
	}
	if len(c.Addresses) > maxAddresses {
		return Config{}, fmt.Errorf("its key %s holds more than %d", keyAddresses, maxAddresses)
	}
	for _, a := range c.Addresses {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return Config{}, fmt.Errorf("its key %s must hold host:port, separated by commas", keyAddresses)
		}
	}
	if strings.ContainsAny(c.Prefix, "{}*?[]\\ ") {
		return Config{}, fmt.Errorf("its key %s must not hold braces, blanks or wildcards", keyPrefix)
	}
	if c.Username != "" && c.Password == "" {
		return Config{}, fmt.Errorf("its key %s needs the key %s", keyUsername, keyPassword)
	}
	var err error
	c.TLS, err = parseTLS(data)
	return c, err
}

// parseTLS is nil for a server that speaks plain TCP.
func parseTLS(data map[string][]byte) (*tls.Config, error) {
	ca, cert, key := data[keyCA], data[keyCert], data[keyKey]
	switch word := strings.TrimSpace(string(data[keyTLS])); word {
	case "", "true", "false":
		if word == "true" || len(ca) > 0 || len(cert) > 0 || len(key) > 0 {
			if word == "false" {
				return nil, fmt.Errorf("its key %s is false, and there are certificates", keyTLS)
			}
			break
		}
		return nil, nil
	default:
		return nil, fmt.Errorf("its key %s must be true or false", keyTLS)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("its key %s holds no PEM certificate", keyCA)
		}
	}
	if len(cert) > 0 || len(key) > 0 {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, errors.New("its keys " + keyCert + " and " + keyKey + " are not a certificate and its key, in PEM")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
