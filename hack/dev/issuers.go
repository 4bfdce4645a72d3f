package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
)

// askIssuers waits until both issuers describe themselves, the https one with a certificate by the authority in ca.crt.
func (e *environment) askIssuers(ctx context.Context) error {
	client, err := trusting(e.caFile())
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	for _, issuer := range []string{e.httpIssuer(), e.httpsIssuer()} {
		var last error
		err := poll(ctx, startTimeout, func() bool {
			last = get(ctx, client, issuer+"/.well-known/openid-configuration")
			return last == nil
		})
		if err != nil {
			return errors.Join(err, last)
		}
	}
	return nil
}

// writeAuthorities writes what a caller on this machine must trust, and what the server trusts at clients' own URLs: the same,
// and the authorities in the file that the environment variable OUTBOUND_CA_FILE names.
func (e *environment) writeAuthorities(ctx context.Context) error {
	if err := e.writeCA(ctx); err != nil {
		return err
	}
	trusted, err := os.ReadFile(e.caFile())
	if err != nil {
		return err
	}
	if e.outboundCA != "" {
		more, err := os.ReadFile(e.outboundCA)
		if err != nil {
			return fmt.Errorf("OUTBOUND_CA_FILE: %w", err)
		}
		trusted = append(trusted, more...)
	}
	return writeWhole(e.outboundCAFile(), trusted)
}

// writeCA writes the authority of the serving certificate, which the controller has made, and that of the review listener, which
// the control plane has.
func (e *environment) writeCA(ctx context.Context) error {
	const secret, certificate = "secret/latchkey-serving-cert", `jsonpath={.data.ca\.crt}`
	for _, what := range []string{"create", certificate} {
		if _, _, err := e.cp.Kubectl(ctx, "wait", secret, "--namespace="+operatorNamespace, "--for="+what, "--timeout=60s"); err != nil {
			return err
		}
	}
	encoded, _, err := e.cp.Kubectl(ctx, "get", secret, "--namespace="+operatorNamespace, "--output="+certificate)
	if err != nil {
		return err
	}
	serving, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("ca.crt of Secret latchkey-serving-cert: %w", err)
	}
	review, err := os.ReadFile(e.cp.Review.ServerCA)
	if err != nil {
		return err
	}
	return writeWhole(e.caFile(), append(append(bytes.TrimSpace(serving), '\n'), review...))
}

func (s site) caFile() string { return s.path("ca.crt") }

func (s site) outboundCAFile() string { return s.path("outbound-ca.crt") }

// trusting returns a client that trusts the authorities in a PEM file and no others.
func trusting(file string) (*http.Client, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}}}, nil
}
