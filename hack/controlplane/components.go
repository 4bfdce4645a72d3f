package controlplane

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// controllers that matter where there are no nodes.
var controllers = [...]string{
	"clusterrole-aggregation-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"resourcequota-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"validatingadmissionpolicy-status-controller",
}

func (cp *ControlPlane) startEtcd(ctx context.Context) (err error) {
	client, peer := "http://"+loopback(cp.Ports.Etcd), "http://"+loopback(cp.Ports.EtcdPeer)
	cp.etcd, err = cp.run(ctx, "etcd", cp.Assets.Etcd, nil, http.DefaultClient, client+"/health",
		"--name=local",
		"--data-dir="+cp.etcdDir(),
		"--listen-client-urls="+client,
		"--advertise-client-urls="+client,
		"--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer,
		"--initial-cluster=local="+peer,
		"--unsafe-no-fsync",                   // the data is thrown away
		"--watch-progress-notify-interval=5s", // as kubeadm does: keeps kube-apiserver's watch cache fresh
		"--log-level=warn",
	)
	return err
}

// StartAPIServer starts kube-apiserver again, on the same port and data, after StopAPIServer, and returns when it is ready.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	client, err := rest.HTTPClientFor(cp.config)
	if err != nil {
		return err
	}
	args := []string{
		"--etcd-servers=http://" + loopback(cp.Ports.Etcd),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", // loopback is no valid endpoint address
		fmt.Sprintf("--secure-port=%d", cp.Ports.APIServer),
		"--tls-cert-file=" + cp.credentials.servingCert,
		"--tls-private-key-file=" + cp.credentials.servingKey,
		"--client-ca-file=" + cp.credentials.ca,
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + Issuer,
		"--service-account-key-file=" + cp.credentials.serviceAccount,
		"--service-account-signing-key-file=" + cp.credentials.serviceAccountPrivate,
		"--service-cluster-ip-range=10.96.0.0/16",
	}
	if cp.options.ReviewURL != "" {
		args = append(args,
			"--authentication-token-webhook-config-file="+cp.webhookConfig(),
			"--authentication-token-webhook-version=v1",
			"--authentication-token-webhook-cache-ttl=1s",
		)
	}
	args = append(args, cp.options.ExtraAPIServerArgs...)
	cp.apiServer, err = cp.run(ctx, "kube-apiserver", cp.Assets.KubeAPIServer, cp.options.APIServerEnv, client, cp.URL()+"/readyz", args...)
	if err != nil {
		return err
	}
	// Readiness does not include the first namespaces, which callers take for granted.
	return waitHealthy(ctx, cp.apiServer, client, cp.URL()+"/api/v1/namespaces/default")
}

// StopAPIServer ends kube-apiserver and leaves the rest running, as in an outage.
func (cp *ControlPlane) StopAPIServer() error { return cp.apiServer.Stop(stopGrace) }

// PIDs are the ids of the processes of kube-apiserver and its etcd.
func (cp *ControlPlane) PIDs() []int { return []int{cp.apiServer.PID(), cp.etcd.PID()} }

func (cp *ControlPlane) startControllerManager(ctx context.Context) error {
	client, err := rest.HTTPClientFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAFile: cp.credentials.ca}})
	if err != nil {
		return err
	}
	cp.manager, err = cp.run(ctx, "kube-controller-manager", cp.Assets.KubeControllerManager, nil, client,
		"https://"+loopback(cp.Ports.ControllerManager)+"/healthz",
		"--kubeconfig="+cp.managerKubeconfig(),
		"--controllers="+strings.Join(controllers[:], ","),
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", cp.Ports.ControllerManager),
		"--tls-cert-file="+cp.credentials.servingCert,
		"--tls-private-key-file="+cp.credentials.servingKey,
		"--root-ca-file="+cp.credentials.ca,
		"--service-account-private-key-file="+cp.credentials.serviceAccountPrivate,
	)
	return err
}

// run starts one component, with env after this process's environment, and waits until its health URL answers 200.
func (cp *ControlPlane) run(ctx context.Context, name, path string, env []string, client *http.Client, health string, args ...string) (*process.Process, error) {
	begin := time.Now()
	p, err := process.Start(process.Options{
		Name: name, Path: path, Args: args, Env: append(os.Environ(), env...),
		LogFile: filepath.Join(cp.Dir, name+".log"),
	})
	if err != nil {
		return nil, err
	}
	if err := waitHealthy(ctx, p, client, health); err != nil {
		return p, err
	}
	go cp.watch(p)
	_, _ = fmt.Fprintf(cp.options.Log, "  %-24s ready after %.1f s\n", name, time.Since(begin).Seconds()) // a courtesy
	return p, nil
}

// watch reports the first component that ends by itself.
func (cp *ControlPlane) watch(p *process.Process) {
	<-p.Done()
	if err := p.Failure(); err != nil {
		select {
		case cp.failed <- err:
		default: // an earlier failure is waiting to be read
		}
	}
}

// portTaken recognizes what a component says when somebody else listens on its port.
func portTaken(err error) bool { return strings.Contains(err.Error(), "address already in use") }
