// Package apiserver runs kube-apiserver with what Latchkey generates for it, copied to files as docs/kube-apiserver.md tells: the webhook's
// kubeconfig, the AuthenticationConfiguration, and both. Controller and server are processes of their own, with the rights they are installed
// with.
package apiserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

const (
	operatorNamespace = "latchkey-system"
	// patience bounds what takes its time on a busy machine.
	patience     = 90 * time.Second
	pollInterval = 50 * time.Millisecond
)

//go:embed manifests.yaml
var manifests []byte

// home is the control plane that Latchkey runs in.
var (
	home *controlplane.ControlPlane
	// issuer is the https issuer of AuthorizationServer default; direct an HTTP client that trusts it.
	issuer string
	direct *http.Client
	// clusters are kube-apiservers that know Latchkey in one way or another.
	asking, verifying, both *cluster
	// brief is a token that ends soon.
	brief string
)

func TestMain(m *testing.M) {
	options := controlplane.Options{NoControllerManager: true, Manifests: []string{"config/crd/bases", "config/namespace/namespace.yaml", "config/rbac"}}
	site := &site{}
	code := controlplane.Main(ending{m, site}, options, func(cp *controlplane.ControlPlane) error {
		home = cp
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		err := site.start(ctx)
		if err != nil {
			err = errors.Join(err, site.stop())
		}
		return err
	})
	os.Exit(code)
}

// ending ends the site when the tests are over.
type ending struct {
	m    *testing.M
	site *site
}

func (e ending) Run() int {
	code := e.m.Run()
	if err := e.site.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// site is what runs beside home.
type site struct {
	programs []*process.Process
	clusters []*cluster
	review   string
}

func (s *site) stop() error {
	var failures []error
	for _, c := range s.clusters {
		failures = append(failures, c.cp.Stop())
	}
	for _, p := range s.programs {
		failures = append(failures, p.Stop(5*time.Second))
	}
	return errors.Join(failures...)
}

func (s *site) start(ctx context.Context) error {
	if err := s.startLatchkey(ctx); err != nil {
		return err
	}
	apply := bytes.ReplaceAll(manifests, []byte("ISSUER"), []byte(issuer))
	if _, _, err := home.KubectlInput(ctx, bytes.NewReader(apply), "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	if _, _, err := home.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "--all", "--all-namespaces", "authorizationservers,localusers,resourceservers,oauthclients"); err != nil {
		return err
	}
	if err := trust(ctx); err != nil {
		return err
	}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, patience, true, func(ctx context.Context) (bool, error) {
		answer, err := own(ctx, "brief", "hurry")
		brief = answer.AccessToken
		return brief != "", err
	})
	if err != nil {
		return fmt.Errorf("a token of a client's own: %w", err)
	}
	return s.startClusters(ctx)
}

// startLatchkey runs controller and server with the rights of their ServiceAccounts, reached by kube-apiserver at an address of loopback.
func (s *site) startLatchkey(ctx context.Context) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	program := filepath.Join(home.Dir, "latchkey")
	if err := (build.Target{Name: "latchkey", Dir: root, Package: ".", Output: program}).Run(ctx, os.Stderr); err != nil {
		return err
	}
	ports, err := controlplane.FreePorts(4)
	if err != nil {
		return err
	}
	issuer, s.review = fmt.Sprintf("https://localhost:%d", ports[0]), at(ports[1])
	err = s.run(ctx, program, "controller", at(ports[2]), "--review-address="+s.review, "--serving-dns-names=localhost")
	if err != nil {
		return err
	}
	return s.run(ctx, program, "server", at(ports[3]), "--bind-address="+at(ports[0]), "--review-bind-address="+s.review)
}

func at(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func (s *site) run(ctx context.Context, program, command, health string, args ...string) error {
	identity := filepath.Join(home.Dir, command+".kubeconfig")
	if _, err := home.ServiceAccountKubeconfig(ctx, operatorNamespace, "latchkey-"+command, identity, time.Hour); err != nil {
		return err
	}
	args = append([]string{command, "--kubeconfig=" + identity, "--namespace=" + operatorNamespace, "--health-bind-address=" + health}, args...)
	p, err := process.Start(process.Options{Name: "latchkey " + command, Path: program, Args: args, LogFile: filepath.Join(home.Dir, command+".log")})
	if err != nil {
		return err
	}
	s.programs = append(s.programs, p)
	err = wait.PollUntilContextTimeout(ctx, pollInterval, patience, true, func(ctx context.Context) (bool, error) {
		status, _, err := send(ctx, http.DefaultClient, http.MethodGet, "http://"+health+"/readyz", nil, nil)
		return err == nil && status == http.StatusOK, p.Failure()
	})
	if err != nil {
		return fmt.Errorf("latchkey %s: %w; the end of its log:\n%s", command, err, p.Tail())
	}
	return nil
}

// trust makes the HTTP client of those that know Latchkey's authority.
func trust(ctx context.Context) error {
	pem, _, err := home.Kubectl(ctx, entry("latchkey-serving-cert", "ca.crt")...)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return errors.New("the serving certificate comes without an authority")
	}
	direct = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	return nil
}

// startClusters starts three kube-apiservers at once.
func (s *site) startClusters(ctx context.Context) error {
	webhook, err := files(ctx, "latchkey-webhook", "kubeconfig", "ca.crt", "tls.crt", "tls.key")
	if err != nil {
		return err
	}
	configuration, err := files(ctx, "latchkey-authentication-configuration", "config.yaml")
	if err != nil {
		return err
	}
	ask := []string{
		"--authentication-token-webhook-config-file=" + filepath.Join(webhook, "kubeconfig"),
		"--authentication-token-webhook-version=v1", "--authentication-token-webhook-cache-ttl=1s",
	}
	verify := []string{"--authentication-config=" + filepath.Join(configuration, "config.yaml")}
	asking, verifying = &cluster{name: "asking", args: ask}, &cluster{name: "verifying", args: verify, files: configuration}
	both = &cluster{name: "both", args: append(verify, ask...)}
	var group errgroup.Group
	for _, c := range []*cluster{asking, verifying, both} {
		group.Go(func() error { return c.start(ctx) })
	}
	err = group.Wait()
	for _, c := range []*cluster{asking, verifying, both} {
		if c.cp != nil {
			s.clusters = append(s.clusters, c)
		}
	}
	return err
}

// entry are the arguments of kubectl that print an entry of a Secret.
func entry(secret, key string) []string {
	return []string{"get", "secret", "-n", operatorNamespace, secret, "-o", fmt.Sprintf("go-template={{index .data %q | base64decode}}", key)}
}

// files copies entries of a Secret, once it is there, into a directory of their own.
func files(ctx context.Context, secret string, keys ...string) (string, error) {
	dir := filepath.Join(home.Dir, secret)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for _, key := range keys {
		text, _, err := home.Kubectl(ctx, entry(secret, key)...)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, key), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}
