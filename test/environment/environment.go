// Package environment runs what `make run` runs, for tests: a Kubernetes control plane, controller, server and the demo
// apps, each a process of its own, on free ports of the loopback interface and with state in a directory of its own.
package environment

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

const (
	// startTimeout covers a first build of the control plane.
	startTimeout = 30 * time.Minute
	stopTimeout  = 30 * time.Second
	// ports is how many follow the base.
	ports = 14
)

// Environment is a live environment.
type Environment struct {
	// Root is the repository's.
	Root string
	// Kubeconfig is cluster-admin's. Issuer is the https issuer, CA the file with the certificate it is verified with,
	// Review the URL that takes a TokenReview, Metrics the server's.
	Kubeconfig, Issuer, CA, Review, Metrics string
	// LocalIssuer is the http issuer, PrintShop and Photos the demo apps.
	LocalIssuer, PrintShop, Photos string

	state   string
	process *exec.Cmd
	exited  chan error
}

// Main runs a package's tests against one environment and returns the exit status for TestMain.
func Main(m *testing.M, ready func(*Environment) error) int {
	e, err := Start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := 1
	if err = ready(e); err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, e.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Start starts an environment and returns when everything answers.
func Start(ctx context.Context) (*Environment, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp("", "latchkey-test-")
	if err != nil {
		return nil, err
	}
	e := &Environment{Root: root, state: state, exited: make(chan error, 1)}
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Environment) start(ctx context.Context) error {
	base, err := freeBase()
	if err != nil {
		return err
	}
	program := filepath.Join(e.state, "dev")
	compile := exec.CommandContext(ctx, "go", "build", "-o", program, "./hack/dev")
	compile.Dir = e.Root
	if out, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("build hack/dev: %w\n%s", err, out)
	}
	e.process = exec.Command(program, "run", "-state", e.state, "-port-base", fmt.Sprint(base)) // it is told to stop by a signal
	e.process.Dir = e.Root
	e.process.Stdout, e.process.Stderr = os.Stderr, os.Stderr
	if err := e.process.Start(); err != nil {
		return err
	}
	go func() { e.exited <- e.process.Wait() }()
	at := func(scheme string, offset int) string { return fmt.Sprintf("%s://localhost:%d", scheme, base+offset) }
	e.LocalIssuer, e.PrintShop, e.Photos = at("http", 1), at("http", 5), at("http", 6)
	return e.wait(ctx)
}

// wait polls for the file that says that everything answers.
func (e *Environment) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the environment did not start: %w", ctx.Err())
		case err := <-e.exited:
			e.exited <- err
			return fmt.Errorf("the environment ended while it started: %w", err)
		case <-tick.C:
			if err := e.readVariables(); !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
}

func (e *Environment) readVariables() error {
	f, err := os.Open(filepath.Join(e.state, "env"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	into := map[string]*string{
		"KUBECONFIG": &e.Kubeconfig, "LATCHKEY_ISSUER": &e.Issuer, "LATCHKEY_CA": &e.CA, "LATCHKEY_REVIEW": &e.Review, "LATCHKEY_METRICS": &e.Metrics,
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if v := into[name]; v != nil {
			*v = strings.Trim(value, "'")
		}
	}
	return lines.Err()
}

// Stop ends the environment as Ctrl-C does and removes its state.
func (e *Environment) Stop() error {
	var failures []error
	if e.process != nil {
		failures = append(failures, e.process.Process.Signal(syscall.SIGINT))
		select {
		case err := <-e.exited:
			failures = append(failures, err)
		case <-time.After(stopTimeout):
			failures = append(failures, errors.New("the environment does not stop"), e.process.Process.Kill())
		}
	}
	return errors.Join(append(failures, os.RemoveAll(e.state))...)
}

// Client is an HTTP client that trusts the environment's CA.
func (e *Environment) Client() (*http.Client, error) {
	pem, err := os.ReadFile(e.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", e.CA)
	}
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
		Timeout:   30 * time.Second,
	}, nil
}

// Kubectl runs kubectl as cluster-admin and returns what it prints.
func (e *Environment) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	kubectl := filepath.Join(e.Root, ".local", "bin", "kubectl")
	if _, err := os.Stat(kubectl); err != nil {
		kubectl = "kubectl"
	}
	cmd := exec.CommandContext(ctx, kubectl, append([]string{"--kubeconfig", e.Kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// freeBase finds a run of ports that nobody listens on, below those that connections going out are given (32768 on Linux).
func freeBase() (int, error) {
	for range 50 {
		base := 21000 + rand.IntN(580)*20
		if allFree(base) {
			return base, nil
		}
	}
	return 0, errors.New("no free run of ports")
}

func allFree(base int) bool {
	for port := base; port < base+ports; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) // closed at once
		if err != nil {
			return false
		}
		if l.Close() != nil {
			return false
		}
	}
	return true
}
