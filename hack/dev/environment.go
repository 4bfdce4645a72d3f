package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// environment is the whole of `make run`: control plane, Latchkey and the demo apps.
type environment struct {
	site
	out      io.Writer
	lock     io.Closer
	cp       *controlplane.ControlPlane
	programs []*process.Process
	failed   chan error
	renewals renewals
}

// programGrace is how long a program may take to finish its requests.
const programGrace = 4 * time.Second

// start brings everything up, or fails with everything taken down again.
func (s site) start(ctx context.Context, out io.Writer) (*environment, error) {
	e := &environment{site: s, out: out, failed: make(chan error, 1)}
	err := e.up(ctx)
	if err == nil {
		return e, nil
	}
	if ctx.Err() != nil {
		err = errInterrupted // whatever failed, failed because of it
	}
	return nil, errors.Join(err, e.stop())
}

// errInterrupted is the end of a command before it could do its work, because somebody ended it.
var errInterrupted = errors.New("interrupted")

func (e *environment) up(ctx context.Context) (err error) {
	if e.lock, err = hold(e.runLock()); errors.Is(err, build.ErrLocked) {
		return e.alreadyRunning()
	} else if err != nil {
		return err
	}
	if err := e.removeEnv(); err != nil { // of a run that was killed
		return err
	}
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Building what is missing", e.build},
		{"Starting a Kubernetes control plane", e.startControlPlane},
		{"Installing Latchkey", e.install},
		{"Starting Latchkey", e.startLatchkey},
		{"Applying the samples", e.applySamples},
		{"Asking both issuers", e.askIssuers},
		{"Starting the demo apps", e.startDemoApps},
	} {
		if _, err := fmt.Fprintln(e.out, step.title); err != nil {
			return err
		}
		if err := step.do(ctx); err != nil {
			return e.cause(fmt.Errorf("%s: %w", step.title, err))
		}
	}
	return e.writeEnv()
}

// cause puts the end of a program, if there was one, before what failed because of it.
func (e *environment) cause(err error) error {
	select {
	case died := <-e.failed:
		return errors.Join(died, err)
	default:
		return err
	}
}

func (e *environment) alreadyRunning() error {
	pid, err := holder(e.runLock())
	if err != nil {
		return err
	}
	return fmt.Errorf("it is running already in this checkout (process %d); another checkout can run beside it with PORT_BASE=%d", pid, e.base+1000)
}

// wait returns nil when ctx ends, or an error when one of the programs does.
func (e *environment) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.failed:
		return err
	}
}

// stop ends everything in reverse order of its start. It is complete even after a start that failed half-way.
func (e *environment) stop() error {
	if e.lock == nil { // somebody else's environment
		return nil
	}
	failures := []error{e.removeEnv()}
	e.renewals.stop()
	for i := len(e.programs) - 1; i >= 0; i-- {
		failures = append(failures, e.programs[i].Stop(programGrace))
	}
	if e.cp != nil {
		failures = append(failures, e.cp.Stop())
	}
	return errors.Join(append(failures, e.lock.Close())...)
}

// stateDir is made anew by each run; it holds logs, credentials and etcd's data.
func (s site) stateDir() string { return s.path("run") }

func (e *environment) startControlPlane(ctx context.Context) (err error) {
	if err := e.checkPorts(environmentUses()); err != nil {
		if pid, lockErr := holder(e.clusterLock()); lockErr == nil && pid != 0 {
			return fmt.Errorf("%w\n(a control plane is running in the background; `make cluster-stop` ends it)", err)
		}
		return err
	}
	if err := os.RemoveAll(e.stateDir()); err != nil {
		return err
	}
	e.cp, err = controlplane.Start(ctx, controlplane.Options{
		Dir:       e.path("run", "controlplane"),
		Ports:     e.controlPlanePorts(),
		Manifests: []string{"config/crd"},
		ReviewURL: e.review(),
		Log:       e.out,
	})
	if err != nil {
		return err
	}
	go e.watch(e.cp.Failed())
	return nil
}

// watch passes on the first failure.
func (e *environment) watch(failures <-chan error) {
	select {
	case e.failed <- <-failures:
	default: // an earlier one is waiting to be read
	}
}
