package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// stopGrace is how long a process has that is asked to end: what a server may take to drain, and more.
const stopGrace = time.Minute

// program of a site: a server or a controller. One that ended is started again under the same name, at the same addresses.
type replica struct {
	name string
	// args and env (nil for the parent's) are what start begins it with.
	args, env []string
	// log is the file with all that its processes wrote.
	log string
	// public is where browsers and clients are served, review where TokenReviews are, health where probes are: host:port. A controller
	// has the last alone.
	public, review, health string

	// clock is by how much the clock is wrong that start begins it with.
	clock time.Duration

	mu      sync.Mutex
	process *process.Process
	killed  bool
}

// start begins a process and does not wait until it is ready.
func (r *replica) start() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process, err = process.Start(process.Options{Name: r.name, Path: program, Args: r.args, Env: r.env, LogFile: r.log})
	r.killed = false
	if err == nil && r.clock != 0 {
		err = setClock(context.Background(), r.process.PID(), r.clock)
	}
	return err
}

func (r *replica) present() *process.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process
}

// kill ends the process as a machine does that is switched off, and returns when it is gone.
func (r *replica) kill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = true
	err := syscall.Kill(r.process.PID(), syscall.SIGKILL)
	<-r.process.Done()
	return err
}

// stop asks the process to end (SIGTERM), and returns when it is gone.
func (r *replica) stop() error { return r.present().Stop(stopGrace) }

// failure is an end that nobody asked for, or a defect that the log tells of.
func (r *replica) failure() error {
	r.mu.Lock()
	killed := r.killed
	r.mu.Unlock()
	var failures []error
	if !killed {
		failures = append(failures, r.present().Failure())
	}
	text, err := os.ReadFile(r.log)
	failures = append(failures, err)
	for _, sign := range []string{"WARNING: DATA RACE", "panic: "} {
		if at := strings.Index(string(text), sign); at >= 0 {
			failures = append(failures, errors.New(r.name+": "+string(text[at:min(len(text), at+4096)])))
		}
	}
	return errors.Join(failures...)
}

// ready says whether the process calls itself ready. A prober like kubelet waits a second for that.
func (r *replica) ready(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.health+"/readyz", http.NoBody)
	if err != nil {
		return false, err
	}
	response, err := probes.Do(request)
	if err != nil {
		return false, nil // nobody is there, which is no failure of the prober's
	}
	return response.StatusCode == http.StatusOK, response.Body.Close()
}

// metric is the value of one without labels, or an error where it is not told.
func (r *replica) metric(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.health+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	_, _, text, err := send(probes, request)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", r.name, name)
}

// probes keep no connection: a process that ends must not find one that it has to wait for.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// audited are the audit events of a name in the log, from all of the replica's processes.
func (r *replica) audited(event string) (found []auditEvent, err error) {
	f, err := os.Open(r.log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEvent
		// A process that was killed may have left half a line, and not all that is logged is JSON.
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == event {
			found = append(found, e)
		}
	}
	return found, lines.Err()
}

// auditEvent is what the server says of what it did.
type auditEvent struct {
	Event     string
	Issuer    string
	GrantType string `json:"grant_type"`
	Grant     string
}
