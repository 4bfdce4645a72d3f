package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// clusterDaemon is the command that a control plane in the background runs as. It is not for people.
const clusterDaemon = "cluster-daemon"

func (s site) clusterDir() string   { return s.path("cluster") }
func (s site) clusterReady() string { return s.path("cluster", "ready") }
func (s site) clusterLog() string   { return s.path("cluster.log") }

// startCluster starts a control plane in the background and returns when it is ready.
func startCluster(ctx context.Context, s site, out io.Writer) error {
	pid, err := holder(s.clusterLock())
	if err != nil {
		return err
	}
	if pid != 0 {
		return fmt.Errorf("a control plane is running already (process %d); end it with `make cluster-stop`", pid)
	}
	// Built here rather than in the background, where nobody would see the progress.
	if _, err := controlplane.Binaries(ctx, out); err != nil {
		return err
	}
	if err := s.checkPorts(controlPlaneUses()); err != nil {
		return err
	}
	if err := os.RemoveAll(s.clusterDir()); err != nil {
		return err
	}
	if err := s.spawnDaemon(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "export KUBECONFIG=%s\n", quote(s.clusterKubeconfig()))
	return err
}

func (s site) clusterKubeconfig() string {
	return filepath.Join(s.clusterDir(), "admin.kubeconfig")
}

// spawnDaemon starts this program again, detached from the terminal, and waits until it says that it is ready.
func (s site) spawnDaemon(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.path(), 0o755); err != nil {
		return err
	}
	log, err := os.Create(s.clusterLog())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the daemon has a descriptor of its own
	cmd := exec.Command(self, clusterDaemon, fmt.Sprintf("-port-base=%d", s.base), "-state="+s.state)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.root, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ready := make(chan error, 1)
	go func() { ready <- poll(ctx, startTimeout, func() bool { return exists(s.clusterReady()) }) }()
	select {
	case err := <-ready:
		if err != nil {
			return errors.Join(err, cmd.Process.Signal(syscall.SIGTERM))
		}
		return nil
	case err := <-ended:
		text, readErr := os.ReadFile(s.clusterLog())
		return errors.Join(fmt.Errorf("the control plane did not start:\n%s", text), err, readErr)
	}
}

// serveCluster is the process in the background.
func serveCluster(ctx context.Context, s site, out io.Writer) error {
	lock, err := hold(s.clusterLock())
	if errors.Is(err, build.ErrLocked) {
		return errors.New("a control plane is running already")
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // the kernel unlocks in any case
	cp, err := controlplane.Start(ctx, controlplane.Options{Dir: s.clusterDir(), Ports: s.controlPlanePorts(), Log: out})
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.clusterReady(), nil, 0o644); err != nil {
		return errors.Join(err, cp.Stop())
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-cp.Failed():
	}
	return errors.Join(err, os.Remove(s.clusterReady()), cp.Stop())
}

// stopCluster ends the control plane in the background and returns when it is gone.
func stopCluster(ctx context.Context, s site, out io.Writer) error {
	pid, err := holder(s.clusterLock())
	if err != nil {
		return err
	}
	if pid == 0 {
		_, err := fmt.Fprintln(out, "no control plane is running")
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	gone := func() bool {
		now, err := holder(s.clusterLock())
		return err == nil && now == 0
	}
	if err := poll(ctx, 30*time.Second, gone); err != nil {
		return fmt.Errorf("process %d does not end: %w", pid, err)
	}
	return os.RemoveAll(s.clusterDir())
}
