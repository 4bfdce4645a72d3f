package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

const (
	// programGrace is how long a program may take to end.
	programGrace = 15 * time.Second
	// readyTimeout is how long one may take to get ready on a busy machine.
	readyTimeout = 5 * time.Minute
)

// Program is a running `latchkey server` or `latchkey controller`.
type Program struct {
	*process.Process
	// Health is the URL of its listener for health and metrics.
	Health string
	// Ready is how long it took from the start of the process until /readyz answered 200.
	Ready time.Duration
	// Processor is how much time of processors it took until then.
	Processor time.Duration
}

// Server says how a server is to be run.
type Server struct {
	// Listen is where it listens; Site.Listen when zero. Several servers can serve one issuer, which requests name by their Host.
	Listen Listeners
	// Args are flags that follow those that every server has: its listeners, that proxies on loopback are trusted, and profiling. Limits are as
	// they are by default unless they are given here.
	Args []string
	// Env follows this process's environment.
	Env []string
	// Started is called with the id of the process as soon as there is one; nil for nobody.
	Started func(pid int) error
}

// StartServer starts `latchkey server` and returns when it is ready.
func (s *Site) StartServer(ctx context.Context, o Server) (*Program, error) {
	if o.Listen == (Listeners{}) {
		o.Listen = s.Listen
	}
	o.Args = append([]string{
		fmt.Sprintf("--bind-address=127.0.0.1:%d", o.Listen.HTTPS),
		fmt.Sprintf("--http-bind-address=127.0.0.1:%d", o.Listen.HTTP),
		fmt.Sprintf("--review-bind-address=127.0.0.1:%d", o.Listen.Review),
		"--trusted-proxies=127.0.0.0/8", // so that each request can come from elsewhere
		"--profiling",
	}, o.Args...)
	return s.run(ctx, "server", o)
}

// StartController starts `latchkey controller` and returns when it is ready.
func (s *Site) StartController(ctx context.Context) (*Program, error) {
	return s.run(ctx, "controller", Server{Listen: Listeners{Health: s.controllerHealth}, Args: []string{"--serving-dns-names=localhost"}})
}

func (s *Site) run(ctx context.Context, command string, o Server) (*Program, error) {
	began := time.Now()
	p, err := process.Start(process.Options{
		Name: "latchkey " + command, Path: s.program, Dir: s.root, Env: append(os.Environ(), o.Env...), LogFile: filepath.Join(s.Dir, command+".log"),
		Args: append([]string{command, "--kubeconfig=" + s.kubeconfig("latchkey-"+command), fmt.Sprintf("--health-bind-address=127.0.0.1:%d", o.Listen.Health)}, o.Args...),
	})
	if err != nil {
		return nil, err
	}
	running := &Program{Process: p, Health: fmt.Sprintf("http://127.0.0.1:%d", o.Listen.Health)}
	if o.Started != nil {
		if err := o.Started(p.PID()); err != nil {
			return nil, errors.Join(err, p.Stop(programGrace))
		}
	}
	err = Poll(ctx, readyTimeout, 10*time.Millisecond, func(ctx context.Context) (bool, error) {
		if !p.Running() {
			return false, p.Failure()
		}
		status, err := Get(ctx, running.Health+"/readyz", io.Discard)
		return err == nil && status == http.StatusOK, nil // until it listens there is an error
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s is not ready: %w\n%s", p.Name(), err, p.Tail()), p.Stop(programGrace))
	}
	running.Ready = time.Since(began)
	running.Processor, err = ProcessorTime(p.PID())
	return running, err
}

// Close ends it.
func (p *Program) Close() error { return p.Stop(programGrace) }

// ticks is what the kernel counts a second of a processor's time as, for programs (man 5 proc).
const ticks = 100

// ProcessorTime is how much of the processors' time a process has had.
func ProcessorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name of the program may hold spaces
	fields := strings.Fields(rest)
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc has something else: %s", text)
	}
	u, err := strconv.Atoi(fields[user])
	s, err2 := strconv.Atoi(fields[system])
	return time.Duration(u+s) * time.Second / ticks, errors.Join(err, err2)
}
