// Package process runs long-lived child programs for local tools and tests, and makes sure that none of them outlives
// its parent.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// Options says what to run and where its output goes.
type Options struct {
	// Name is used in messages.
	Name string
	// Path is the program; Args follow it.
	Path string
	Args []string
	// Env is the whole environment. Nil means the parent's.
	Env []string
	// Dir is the working directory. Empty means the parent's.
	Dir string
	// LogFile takes standard output and standard error. It is appended to, so that a restarted program keeps its past.
	LogFile string
}

// Process is a running (or finished) child program.
type Process struct {
	options  Options
	cmd      *exec.Cmd
	done     chan struct{}
	waitErr  error // set before done is closed
	stopping atomic.Bool
}

// Start runs the program in a process group of its own: a terminal's Ctrl-C reaches the parent only, which then decides
// the order in which its children end. On Linux the kernel kills the child when the parent dies, whatever killed it.
func Start(options Options) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(options.LogFile), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(options.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(options.Path, options.Args...)
	cmd.Env, cmd.Dir = options.Env, options.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	p := &Process{options: options, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.run(log, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", options.Name, err)
	}
	return p, nil
}

// run keeps its OS thread until the child has ended: the parent-death signal is sent when the *thread* that forked
// the child exits.
func (p *Process) run(log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer func() { _ = log.Close() }() // the child holds its own descriptor; nothing is buffered here
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.waitErr = p.cmd.Wait()
	close(p.done)
}

// Name is the name given in Options.
func (p *Process) Name() string { return p.options.Name }

// PID is the process id, which is also the id of its process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Stopping reports whether Stop was called, which tells an expected end from an accident.
func (p *Process) Stopping() bool { return p.stopping.Load() }

// Failure describes an end nobody asked for, with the last lines of the log. It is nil while the process runs and after Stop.
func (p *Process) Failure() error {
	if p.Running() || p.Stopping() {
		return nil
	}
	state := "exit status 0"
	if p.waitErr != nil {
		state = p.waitErr.Error()
	}
	return fmt.Errorf("%s ended unexpectedly (%s); the end of %s:\n%s", p.options.Name, state, p.options.LogFile, p.Tail())
}

// Tail is the end of the log file, indented for use within a message.
func (p *Process) Tail() string { return tail(p.options.LogFile, 20) }

// Stop asks the process to end (SIGTERM) and kills its whole group when it has not ended after grace. It returns when
// the process is gone. Stop may be called more than once.
func (p *Process) Stop(grace time.Duration) error {
	p.stopping.Store(true)
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// signal reaches the whole group, so that nothing the child has started is left either.
func (p *Process) signal(s syscall.Signal) error {
	if !p.Running() {
		return nil
	}
	if err := syscall.Kill(-p.PID(), s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%s: %v: %w", p.options.Name, s, err)
	}
	return nil
}
