package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/bench/load/ceiling"
	"github.com/latchkey-io/latchkey/hack/bench/pinned"
	"github.com/latchkey-io/latchkey/hack/bench/site"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
	"github.com/latchkey-io/latchkey/server/keys"
)

const (
	// few is how many clients, and grants, there are at first: a namespace of them has tokens that are signed with RS256, and from askedAbout
	// on there is one whose tokens are asked about, by as many of its clients as its API may name.
	few           = 2 * site.PerNamespace
	askedAbout    = site.PerNamespace
	introspectors = 32
	// grantLifetime is longer than any run.
	grantLifetime = 24 * time.Hour
	// unlimited is a limit on requests that is counted and never reached.
	unlimited = "1000000:1000000"
	// honouredTimeout is how long it may take until a server knows all clients.
	honouredTimeout = 5 * time.Minute
)

// prepare starts everything.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.root, err = build.Root(); err != nil {
		return err
	}
	if b.Site, err = site.Start(ctx, b.Out); err != nil {
		return err
	}
	if err := b.Prepare(ctx, nil); err != nil {
		return err
	}
	b.ChangeAPI = changeAPI
	if err := errors.Join(b.PutClients(ctx, 0, few), b.PutGrants(ctx, few, grantLifetime, few)); err != nil {
		return err
	}
	if err := b.startServer(ctx); err != nil {
		return err
	}
	if err := b.honours(ctx, few-1); err != nil {
		return err
	}
	sizes, err := b.sizes(ctx)
	if err != nil {
		return err
	}
	if err := b.startCeiling(ctx, sizes); err != nil {
		return err
	}
	return errors.Join(pinned.Pin(os.Getpid(), pinned.OtherCore), pinned.Children(pinned.OtherCore, "etcd", "kube-apiserver"), b.Settle(ctx))
}

// changeAPI has tokens for the API of the first namespace signed with RS256, and the first clients of any other introspect its tokens.
func changeAPI(namespace string, api *v1alpha1.ResourceServer) {
	if namespace == site.NamespaceOf(0) {
		api.Spec.AccessToken = &v1alpha1.AccessToken{SigningAlgorithm: v1alpha1.SigningAlgorithm(keys.RS256)}
		return
	}
	if namespace != site.NamespaceOf(askedAbout) {
		return
	}
	api.Spec.Introspection = &v1alpha1.Introspection{}
	for i := range introspectors {
		api.Spec.Introspection.Clients = append(api.Spec.Introspection.Clients, site.NameOf(askedAbout+i))
	}
}

// startServer starts Latchkey. Grants are in Kubernetes; when secrets were used is not written during the run: with each client once in the
// first hour, that would be all that the server did.
func (b *bench) startServer(ctx context.Context) (err error) {
	b.server, err = b.StartServer(ctx, site.Server{
		Args: []string{
			"--limit-clients=" + unlimited, "--limit-unproven=" + unlimited, "--secret-usage-delay=2h",
			"--review-tls-cert-file=" + b.Review.ServerCert, "--review-tls-key-file=" + b.Review.ServerKey, "--review-client-ca-file=" + b.Review.ClientCA,
		},
		Env:     []string{"GOMAXPROCS=1"},
		Started: func(pid int) error { return pinned.Pin(pid, pinned.MeasuredCore) },
	})
	return err
}

// honours waits until the server gives the i-th client a token.
func (b *bench) honours(ctx context.Context, i int) error {
	var last error
	err := site.Poll(ctx, honouredTimeout, 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		_, last = look(ctx, b.http(), nil, b.post(tokenRequest(i)), issued)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s gets no token: %w", site.ClientID(i), errors.Join(err, last))
	}
	return nil
}

// http and https are Latchkey's addresses for clients and for reviews.
func (b *bench) http() string  { return fmt.Sprintf("127.0.0.1:%d", b.Listen.HTTP) }
func (b *bench) https() string { return fmt.Sprintf("127.0.0.1:%d", b.Listen.Review) }

// asAPIServer is how kube-apiserver connects: with its certificate.
func (b *bench) asAPIServer() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(b.Review.ClientCert, b.Review.ClientKey)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(b.Review.ServerCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate", b.Review.ServerCA)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{certificate}, ServerName: "localhost"}, nil
}

// sizes looks at one answer of each kind.
func (b *bench) sizes(ctx context.Context) (s ceiling.Sizes, err error) {
	body, err := look(ctx, b.http(), nil, b.post(tokenRequest(askedAbout)), issued)
	if err != nil {
		return s, err
	}
	_, token, _ := strings.Cut(body, issued)
	token, _, _ = strings.Cut(token, `"`)
	s.AccessToken, s.Token = len(token), len(body)
	asked, err := b.introspections(1)
	if err != nil {
		return s, err
	}
	if body, err = look(ctx, b.http(), nil, asked[0], active); err != nil {
		return s, err
	}
	s.Introspection = len(body)
	config, err := b.asAPIServer()
	if err != nil {
		return s, err
	}
	if asked, err = b.reviews(1); err != nil {
		return s, err
	}
	body, err = look(ctx, b.https(), config, asked[0], authenticated)
	s.Review = len(body)
	return s, err
}

// startCeiling builds and starts the least that a server does.
func (b *bench) startCeiling(ctx context.Context, sizes ceiling.Sizes) (err error) {
	program := filepath.Join(b.Dir, "load-ceiling")
	target := build.Target{Name: "ceiling", Dir: b.root, Package: "./hack/bench/load/ceiling/program", Output: program}
	if err := target.Run(ctx, b.Out); err != nil {
		return err
	}
	key, err := b.Keys().Signer(keys.ES256, time.Now())
	if err != nil {
		return err
	}
	c := ceiling.Config{Sizes: sizes, CertFile: b.Review.ServerCert, KeyFile: b.Review.ServerKey, ClientCAFile: b.Review.ClientCA}
	if c.PublicKey, err = x509.MarshalPKIXPublicKey(key.Private.Public()); err != nil {
		return err
	}
	for _, address := range []*string{&b.plain, &b.review} {
		if *address, err = pinned.FreeAddress(); err != nil {
			return err
		}
	}
	c.Address, c.ReviewAddress = b.plain, b.review
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	b.ceiling, err = b.programs.Start(ctx, process.Options{
		Name: "ceiling", Path: program, LogFile: filepath.Join(b.Dir, "load-ceiling.log"), Env: append(os.Environ(), "GOMAXPROCS=1"),
		Args: []string{"-config", string(text)},
	}, b.plain, pinned.MeasuredCore)
	return err
}
