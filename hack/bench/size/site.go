package size

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

const (
	operatorNamespace = "latchkey-system"
	// tokenLifetime is longer than any run.
	tokenLifetime = 6 * time.Hour
	// programGrace is how long a program may take to end.
	programGrace = 15 * time.Second
	// readyTimeout is how long one may take to get ready on a busy machine.
	readyTimeout = 5 * time.Minute
)

// site is a control plane and what is needed to run Latchkey over it.
type site struct {
	out     io.Writer
	cp      *controlplane.ControlPlane
	root    string
	program string
	etcd    *etcd
	// admin may do everything, but for what the admission policies leave to Latchkey; asController and asServer have the rights of its
	// ServiceAccounts. config is the administrator's.
	admin, asController, asServer client.WithWatch
	config                        *rest.Config
	source                        sources
	// grants are the names of those that were put there.
	grants []string
	// ports of the programs' listeners.
	http, https, review, serverHealth, controllerHealth int
}

func start(ctx context.Context, out io.Writer) (*site, error) {
	s := &site{out: out}
	if err := s.up(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *site) up(ctx context.Context) (err error) {
	if s.root, err = build.Root(); err != nil {
		return err
	}
	if s.cp, err = controlplane.Start(ctx, controlplane.Options{Manifests: []string{"config/crd"}, NoControllerManager: true, Log: s.out}); err != nil {
		return err
	}
	s.etcd = &etcd{url: fmt.Sprintf("http://127.0.0.1:%d", s.cp.Ports.Etcd)}
	s.config = s.cp.RESTConfig()
	if err := s.cp.Apply(ctx, "config/local"); err != nil {
		return err
	}
	s.program = filepath.Join(s.cp.Dir, "latchkey")
	target := build.Target{Name: "latchkey", Dir: s.root, Package: ".", Output: s.program}
	if err := target.Run(ctx, s.out); err != nil {
		return err
	}
	ports, err := freePorts(5)
	if err != nil {
		return err
	}
	s.http, s.https, s.review, s.serverHealth, s.controllerHealth = ports[0], ports[1], ports[2], ports[3], ports[4]
	return s.connect(ctx)
}

// freePorts finds ports that nobody listens on, below those that connections going out are given (32768 on Linux): they are used again and
// again in a long run.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range 1000 {
		port := 12_000 + rand.IntN(8000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) // closed at once
		if err != nil || slices.Contains(ports, port) {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("there are no free ports")
}

func (s *site) connect(ctx context.Context) (err error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if s.admin, err = client.NewWithWatch(s.config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for account, c := range map[string]*client.WithWatch{"latchkey-controller": &s.asController, "latchkey-server": &s.asServer} {
		file := s.kubeconfig(account)
		if _, err := s.cp.ServiceAccountKubeconfig(ctx, operatorNamespace, account, file, tokenLifetime); err != nil {
			return err
		}
		config, err := clientcmd.BuildConfigFromFlags("", file)
		if err != nil {
			return err
		}
		config.QPS = -1
		if *c, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) kubeconfig(account string) string {
	return filepath.Join(s.cp.Dir, account+".kubeconfig")
}

func (s *site) stop() error {
	if s.cp == nil {
		return nil
	}
	return s.cp.Stop()
}

// issuer is an http one, which needs no certificate.
func (s *site) issuer() string { return fmt.Sprintf("http://localhost:%d", s.http) }

// program is a running `latchkey server` or `latchkey controller`.
type program struct {
	*process.Process
	health string
	// ready is how long it took from the start of the process until /readyz answered 200.
	ready time.Duration
	// processor is how much time of processors it took until then.
	processor time.Duration
}

func (s *site) startServer(ctx context.Context, args ...string) (*program, error) {
	return s.run(ctx, "server", s.serverHealth, append([]string{
		fmt.Sprintf("--bind-address=127.0.0.1:%d", s.https),
		fmt.Sprintf("--http-bind-address=127.0.0.1:%d", s.http),
		fmt.Sprintf("--review-bind-address=127.0.0.1:%d", s.review),
		"--trusted-proxies=127.0.0.0/8", // so that each request can come from elsewhere
		"--profiling",
	}, args...)...)
}

func (s *site) startController(ctx context.Context) (*program, error) {
	return s.run(ctx, "controller", s.controllerHealth, "--serving-dns-names=localhost")
}

func (s *site) run(ctx context.Context, command string, health int, args ...string) (*program, error) {
	began := time.Now()
	p, err := process.Start(process.Options{
		Name: "latchkey " + command, Path: s.program, Dir: s.root, LogFile: filepath.Join(s.cp.Dir, command+".log"),
		Args: append([]string{command, "--kubeconfig=" + s.kubeconfig("latchkey-"+command), fmt.Sprintf("--health-bind-address=127.0.0.1:%d", health)}, args...),
	})
	if err != nil {
		return nil, err
	}
	running := &program{Process: p, health: fmt.Sprintf("http://127.0.0.1:%d", health)}
	err = poll(ctx, readyTimeout, 2*time.Millisecond, func(ctx context.Context) (bool, error) {
		if !p.Running() {
			return false, p.Failure()
		}
		status, err := get(ctx, running.health+"/readyz", io.Discard)
		return err == nil && status == http.StatusOK, nil // until it listens there is an error
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s is not ready: %w\n%s", p.Name(), err, p.Tail()), p.Stop(programGrace))
	}
	running.ready = time.Since(began)
	running.processor, err = processorTime(p.PID())
	return running, err
}

func (p *program) stop() error { return p.Stop(programGrace) }

// file is where a profile of that name is kept: in the directory for profiles, else with the run's other files.
func (b *bench) file(name string) (string, error) {
	if b.Profiles == "" {
		return filepath.Join(b.cp.Dir, name), nil
	}
	return filepath.Join(b.Profiles, name), os.MkdirAll(b.Profiles, 0o755)
}
