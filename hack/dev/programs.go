package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

func (e *environment) build(ctx context.Context) error {
	if _, err := controlplane.Binaries(ctx, e.out); err != nil {
		return err
	}
	for _, program := range []struct{ name, pkg string }{
		{"latchkey", "."},
		{"print-shop", "./hack/demo/printshop"},
		{"photos", "./hack/demo/photos"},
	} {
		target := build.Target{Name: program.name, Dir: e.root, Package: program.pkg, Output: e.program(program.name)}
		if err := target.Run(ctx, e.out); err != nil {
			return err
		}
	}
	return nil
}

func (s site) program(name string) string { return s.path("bin", name) }

// run starts a program and waits until its health URL answers.
func (e *environment) run(ctx context.Context, name, program, health string, args ...string) error {
	begin := time.Now()
	p, err := process.Start(process.Options{
		Name: name, Path: e.program(program), Args: args, Dir: e.root,
		LogFile: filepath.Join(e.stateDir(), name+".log"),
	})
	if err != nil {
		return err
	}
	e.programs = append(e.programs, p)
	ready := func() bool { return !p.Running() || get(ctx, http.DefaultClient, health) == nil }
	if err := poll(ctx, startTimeout, ready); err != nil {
		return fmt.Errorf("%s does not answer at %s: %w; the end of its log:\n%s", name, health, err, p.Tail())
	}
	if err := p.Failure(); err != nil {
		return err
	}
	go e.watchProgram(p)
	_, err = fmt.Fprintf(e.out, "  %-24s ready after %.1f s\n", name, time.Since(begin).Seconds())
	return err
}

func (e *environment) watchProgram(p *process.Process) {
	<-p.Done()
	if err := p.Failure(); err != nil {
		select {
		case e.failed <- err:
		default: // an earlier one is waiting to be read
		}
	}
}

// startLatchkey runs controller and server as in a cluster: two processes, each with its own ServiceAccount's rights.
func (e *environment) startLatchkey(ctx context.Context) error {
	controller, err := e.identity(ctx, operatorNamespace, "latchkey-controller")
	if err != nil {
		return err
	}
	server, err := e.identity(ctx, operatorNamespace, "latchkey-server")
	if err != nil {
		return err
	}
	err = e.run(ctx, "latchkey-controller", "latchkey", "http://"+e.address(offsetControllerHealth)+"/readyz",
		"controller",
		"--kubeconfig="+controller,
		"--namespace="+operatorNamespace,
		"--health-bind-address="+e.address(offsetControllerHealth),
		"--serving-dns-names=localhost,latchkey-server."+operatorNamespace+".svc",
	)
	if err != nil {
		return err
	}
	if err := e.writeAuthorities(ctx); err != nil {
		return err
	}
	return e.run(ctx, "latchkey-server", "latchkey", "http://"+e.address(offsetServerHealth)+"/readyz",
		"server",
		"--kubeconfig="+server,
		"--namespace="+operatorNamespace,
		"--bind-address="+e.address(offsetHTTPS),
		"--http-bind-address="+e.address(offsetHTTP),
		"--review-bind-address="+e.address(offsetReview),
		"--health-bind-address="+e.address(offsetServerHealth),
		"--review-tls-cert-file="+e.cp.Review.ServerCert,
		"--review-tls-key-file="+e.cp.Review.ServerKey,
		"--review-client-ca-file="+e.cp.Review.ClientCA,
		"--outbound-allowed-cidrs=127.0.0.0/8,::1/128", // where the clients of a local environment are
		"--outbound-ca-file="+e.outboundCAFile(),
		"--secret-usage-delay=1s",
	)
}
