package pinned

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/site"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

const (
	// grace is how long a program may take to end, patience how long to listen.
	grace    = 5 * time.Second
	patience = 30 * time.Second
)

// Programs are those that run beside Latchkey for as long as a benchmark does.
type Programs struct{ running []*process.Process }

// Start runs a program on a core, until Stop, and returns once it listens at the address.
func (p *Programs) Start(ctx context.Context, o process.Options, address string, core int) (*process.Process, error) {
	started, err := process.Start(o)
	if err != nil {
		return nil, err
	}
	p.running = append(p.running, started)
	if err := Pin(started.PID(), core); err != nil {
		return nil, err
	}
	return started, site.Poll(ctx, patience, 10*time.Millisecond, func(context.Context) (bool, error) {
		if !started.Running() {
			return false, started.Failure()
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return true, conn.Close()
	})
}

// Stop ends all of them, the last one first.
func (p *Programs) Stop() error {
	var failures []error
	for _, one := range slices.Backward(p.running) {
		failures = append(failures, one.Stop(grace))
	}
	p.running = nil
	return errors.Join(failures...)
}

// FreeAddress is one on loopback that nobody listens at.
func FreeAddress() (string, error) {
	ports, err := site.FreePorts(1)
	if err != nil {
		return "", err
	}
	return Loopback(ports[0]), nil
}

// Loopback is the address of a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
