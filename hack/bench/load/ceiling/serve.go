package ceiling

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"golang.org/x/sync/errgroup"
)

// Serve listens until a listener fails.
func Serve(c *Config) error {
	handler, err := New(c)
	if err != nil {
		return err
	}
	config, err := c.clients()
	if err != nil {
		return fmt.Errorf("%s: %w", c.ClientCAFile, err)
	}
	var group errgroup.Group
	group.Go((&http.Server{Addr: c.Address, Handler: handler}).ListenAndServe)
	group.Go(func() error {
		return (&http.Server{Addr: c.ReviewAddress, Handler: handler, TLSConfig: config}).ListenAndServeTLS(c.CertFile, c.KeyFile)
	})
	return group.Wait()
}

// clients asks for a certificate, as Latchkey does of kube-apiserver.
func (c *Config) clients() (*tls.Config, error) {
	text, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("no certificate")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}, nil
}
