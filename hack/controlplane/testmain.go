package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Runner is *testing.M.
type Runner interface{ Run() int }

// Main runs a package's tests against one control plane and returns the exit status for TestMain. ready is called before
// the tests, to keep the control plane where they find it and to apply what they all need. An interrupt stops the control plane too.
func Main(m Runner, options Options, ready func(*ControlPlane) error) int {
	if options.Log == nil {
		options.Log = os.Stderr
	}
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	cp, err := Start(ctx, options)
	if err != nil {
		return report(err)
	}
	result := make(chan int, 1)
	go func() { result <- runTests(m, cp, ready) }()
	select {
	case code := <-result:
		return max(code, report(cp.Stop()))
	case <-ctx.Done():
		return max(1, report(errors.Join(context.Cause(ctx), cp.Stop())))
	case err := <-cp.Failed():
		return max(1, report(errors.Join(err, cp.Stop())))
	}
}

func runTests(m Runner, cp *ControlPlane, ready func(*ControlPlane) error) int {
	if ready != nil {
		if err := ready(cp); err != nil {
			return report(err)
		}
	}
	return m.Run()
}

// report prints an error, if there is one, and returns the exit status that goes with it.
func report(err error) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(os.Stderr, err) // nowhere else to complain
	return 1
}
