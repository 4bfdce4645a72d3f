// Package site is a real control plane with Latchkey over it, for benchmarks: `latchkey server` and `latchkey controller` as processes with
// the rights of their ServiceAccounts, and clients and grants in great numbers.
//
// Those are not created one by one, which would take the API server many minutes: one of each is made as anybody would make it, by the API and
// the controller, and copies of what etcd has of it then are put into etcd beside it, with names, UIDs and digests of their own. To the API
// server, and to all who watch it, they are objects like any other.
package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
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
)

const (
	// OperatorNamespace is where keys, grants and users' passwords are.
	OperatorNamespace = "latchkey-system"
	// tokenLifetime is longer than any run.
	tokenLifetime = 6 * time.Hour
)

// Site is a control plane and what is needed to run Latchkey over it.
type Site struct {
	*controlplane.ControlPlane
	// Etcd is that of the control plane.
	Etcd *Etcd
	// Admin may do everything, but for what the admission policies leave to Latchkey; AsController and AsServer have the rights of its
	// ServiceAccounts. Config is the administrator's.
	Admin, AsController, AsServer client.WithWatch
	Config                        *rest.Config
	// Listen is where a server listens.
	Listen Listeners
	// ChangeAPI makes the API of a namespace differ from the one that it is a copy of; nil for no difference. PutClients calls it.
	ChangeAPI func(namespace string, api *v1alpha1.ResourceServer)

	out              io.Writer
	root, program    string
	source           sources
	grants           []string
	controllerHealth int
}

// Listeners are the ports of a server's listeners, on 127.0.0.1.
type Listeners struct {
	HTTP, HTTPS, Review, Health int
}

// Start starts a control plane, installs Latchkey's kinds and rights there, and builds the program. The site must be stopped.
func Start(ctx context.Context, out io.Writer) (*Site, error) {
	s := &Site{out: out}
	if err := s.up(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Site) up(ctx context.Context) (err error) {
	if s.root, err = build.Root(); err != nil {
		return err
	}
	options := controlplane.Options{Manifests: []string{"config/crd"}, NoControllerManager: true, APIServerEnv: []string{garbage}, Log: s.out}
	if s.ControlPlane, err = controlplane.Start(ctx, options); err != nil {
		return err
	}
	s.Etcd = &Etcd{url: fmt.Sprintf("http://127.0.0.1:%d", s.Ports.Etcd)}
	s.Config = s.RESTConfig()
	if err := s.Apply(ctx, "config/local"); err != nil {
		return err
	}
	s.program = filepath.Join(s.Dir, "latchkey")
	target := build.Target{Name: "latchkey", Dir: s.root, Package: ".", Output: s.program}
	if err := target.Run(ctx, s.out); err != nil {
		return err
	}
	ports, err := FreePorts(5)
	if err != nil {
		return err
	}
	s.Listen, s.controllerHealth = Listeners{ports[0], ports[1], ports[2], ports[3]}, ports[4]
	return s.connect(ctx)
}

// FreePorts finds ports that nobody listens on, below those that connections going out are given (32768 on Linux): they are used again and
// again in a long run.
func FreePorts(n int) ([]int, error) {
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

func (s *Site) connect(ctx context.Context) (err error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if s.Admin, err = client.NewWithWatch(s.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for account, c := range map[string]*client.WithWatch{"latchkey-controller": &s.AsController, "latchkey-server": &s.AsServer} {
		file := s.kubeconfig(account)
		if _, err := s.ServiceAccountKubeconfig(ctx, OperatorNamespace, account, file, tokenLifetime); err != nil {
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

func (s *Site) kubeconfig(account string) string {
	return filepath.Join(s.Dir, account+".kubeconfig")
}

// Stop ends the control plane.
func (s *Site) Stop() error {
	if s.ControlPlane == nil {
		return nil
	}
	return s.ControlPlane.Stop()
}

// Issuer is the URL of AuthorizationServer `default`, an http one, which needs no certificate.
func (s *Site) Issuer() string { return fmt.Sprintf("http://localhost:%d", s.Listen.HTTP) }
