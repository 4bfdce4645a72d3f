package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// Issuer is the issuer of the control plane's ServiceAccount tokens and kube-apiserver's own audience.
const Issuer = "https://kubernetes.default.svc.cluster.local"

// Options describe a control plane. The zero value is a good one.
type Options struct {
	// Dir holds all state and logs and must not hold those of another control plane. When it is not set, a temporary directory is made and
	// removed again by Stop.
	Dir string
	// Assets are the programs. When nil, Binaries finds or builds them.
	Assets *Assets
	// Ports on 127.0.0.1. Those that are zero are chosen.
	Ports Ports
	// NoControllerManager leaves kube-controller-manager out: nothing is garbage collected and namespaces stay Terminating.
	NoControllerManager bool
	// Manifests are files and directories (a kustomization is built), relative to the repository's root, applied before
	// kube-controller-manager starts. CustomResourceDefinitions belong here: the garbage collector looks for new kinds only
	// every 30 s, and those it finds at its start it follows at once.
	Manifests []string
	// ReviewURL makes kube-apiserver ask this URL about every token that it does not know itself (webhook token
	// authentication, authentication.k8s.io/v1, answers cached for 1 s). See ControlPlane.Review for the certificates.
	ReviewURL string
	// ExtraAPIServerArgs follow our own.
	ExtraAPIServerArgs []string
	// APIServerEnv follows this process's environment in kube-apiserver's.
	APIServerEnv []string
	// Log takes a line for each component that got ready, and the progress of a first build. Nil means none.
	Log io.Writer
}

// ControlPlane is a running Kubernetes control plane. Its methods may be called from several goroutines, except for
// Stop, StopAPIServer and StartAPIServer.
type ControlPlane struct {
	// Dir holds state and logs.
	Dir string
	// Kubeconfig is a file for cluster-admin by client certificate.
	Kubeconfig string
	// Review are the certificates for a webhook token authenticator. They are there with and without Options.ReviewURL.
	Review ReviewFiles
	// Assets are the programs that run.
	Assets Assets
	// Ports are those in use.
	Ports Ports

	options     Options
	credentials credentials
	config      *rest.Config
	temporary   bool // Dir is ours to remove
	failed      chan error

	etcd, apiServer, manager *process.Process
}

// attempts at a start with ports of our choosing: between choosing and listening, somebody else may take one.
const attempts = 3

// Start runs a control plane and returns when it is ready. It must be stopped with Stop; should this process die
// before, the control plane dies with it (on Linux).
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	if options.Log == nil {
		options.Log = io.Discard
	}
	if options.Assets == nil {
		assets, err := Binaries(ctx, options.Log)
		if err != nil {
			return nil, err
		}
		options.Assets = &assets
	}
	var failures []error
	for range attempts {
		cp, err := start(ctx, options)
		if err == nil {
			return cp, nil
		}
		failures = append(failures, err)
		if options.Ports.fixed() || options.Dir != "" || ctx.Err() != nil || !portTaken(err) {
			break
		}
	}
	return nil, errors.Join(failures...)
}

func start(ctx context.Context, options Options) (_ *ControlPlane, err error) {
	cp := &ControlPlane{Dir: options.Dir, Assets: *options.Assets, Ports: options.Ports, options: options, failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start a control plane: %w", err), cp.Stop())
		}
	}()
	if err := cp.prepare(); err != nil {
		return nil, err
	}
	if err := cp.startEtcd(ctx); err != nil {
		return nil, err
	}
	if err := cp.StartAPIServer(ctx); err != nil {
		return nil, err
	}
	if err := cp.applyManifests(ctx); err != nil {
		return nil, err
	}
	if options.NoControllerManager {
		return cp, nil
	}
	return cp, cp.startControllerManager(ctx)
}

// prepare makes everything that must be there before the first process: directory, ports, certificates, kubeconfigs.
func (cp *ControlPlane) prepare() (err error) {
	if cp.Dir == "" {
		cp.temporary = true
		if cp.Dir, err = os.MkdirTemp("", "latchkey-controlplane-"); err != nil {
			return err
		}
	}
	if cp.Dir, err = filepath.Abs(cp.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(cp.etcdDir(), 0o700); err != nil {
		return err
	}
	if entries, err := os.ReadDir(cp.etcdDir()); err != nil || len(entries) > 0 {
		return errors.Join(err, fmt.Errorf("%s holds the state of another control plane", cp.Dir))
	}
	if err := cp.Ports.fill(); err != nil {
		return err
	}
	if cp.credentials, err = newCredentials(cp.Dir); err != nil {
		return err
	}
	if cp.Review, err = newReviewFiles(cp.Dir); err != nil {
		return err
	}
	cp.Kubeconfig = filepath.Join(cp.Dir, "admin.kubeconfig")
	if err := cp.writeKubeconfigs(); err != nil {
		return err
	}
	cp.config, err = clientcmd.BuildConfigFromFlags("", cp.Kubeconfig)
	if err != nil {
		return err
	}
	cp.config.QPS = -1 // no client-side limit: the API server is ours alone
	return nil
}

func (cp *ControlPlane) etcdDir() string { return filepath.Join(cp.Dir, "etcd") }

// URL is where the API server listens.
func (cp *ControlPlane) URL() string { return "https://" + loopback(cp.Ports.APIServer) }

// RESTConfig is a copy of the cluster-admin's client configuration, without client-side rate limit.
func (cp *ControlPlane) RESTConfig() *rest.Config { return rest.CopyConfig(cp.config) }

// Failed delivers an error, with the end of its log, when a component has ended that nobody stopped.
func (cp *ControlPlane) Failed() <-chan error { return cp.failed }

// stopGrace is how long a component may take to end by itself. kube-apiserver waits for its clients' long requests
// without need: what it holds is thrown away.
const stopGrace = 3 * time.Second

// Stop ends all components in reverse order of their start and returns when they are gone. Stopping twice is harmless.
func (cp *ControlPlane) Stop() error {
	var failures []error
	for _, p := range []*process.Process{cp.manager, cp.apiServer, cp.etcd} {
		if p != nil {
			failures = append(failures, p.Stop(stopGrace))
		}
	}
	if cp.temporary && cp.Dir != "" {
		failures = append(failures, os.RemoveAll(cp.Dir))
	}
	return errors.Join(failures...)
}
