// Package tour walks the seven steps of the authorization code flow through a running environment, as a person with a
// browser would, and checks what is seen on the way.
package tour

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// Config says where everything is.
type Config struct {
	// PrintShop, Photos and Issuer are the addresses of the demo apps and of the issuer they use.
	PrintShop, Photos, Issuer string
	// Review takes TokenReviews; CA is a PEM file with the authority of its certificate.
	Review, CA string
	// ReviewerToken is a file with the ServiceAccount token of the photos API.
	ReviewerToken string
	// Kubeconfig is a file for cluster-admin.
	Kubeconfig string
}

// tour is one walk.
type tour struct {
	Config
	report
	browser *browser.Browser
	direct  *http.Client // for what is no browser's business
	cluster kubernetes.Interface
}

// Walk prints the seven steps to out and returns the first thing that is not as it must be.
func Walk(ctx context.Context, config Config, out io.Writer) error {
	t := &tour{Config: config, report: report{out: out}}
	if err := t.prepare(); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{t.steps, t.deny, t.handle} {
		if err := part(ctx); err != nil {
			return fmt.Errorf("%s: %w", t.step, err)
		}
	}
	t.print("\nAll seven steps are as they should be.\n")
	return nil
}

func (t *tour) prepare() error {
	text, err := os.ReadFile(t.CA)
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no certificate", t.CA)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	t.direct = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	if t.browser, err = browser.New(transport); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", t.Kubeconfig)
	if err != nil {
		return err
	}
	t.cluster, err = kubernetes.NewForConfig(config)
	return err
}
