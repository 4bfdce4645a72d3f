package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/latchkey-io/latchkey/hack/dev/tour"
)

// demo is `make demo`: the seven steps, in the environment of a live run or in one of its own, which it ends again.
func demo(ctx context.Context, s site, out io.Writer) error {
	pid, err := holder(s.runLock())
	if err != nil {
		return err
	}
	if pid != 0 {
		return s.joinRun(ctx, pid, out)
	}
	e, err := s.start(ctx, out)
	if err != nil {
		return err
	}
	failure := s.walk(ctx, out)
	select {
	case died := <-e.failed: // which explains what the walk has met
		failure = errors.Join(died, failure)
	default:
	}
	if ctx.Err() != nil {
		failure = errInterrupted
	}
	return errors.Join(failure, e.stop())
}

// joinRun walks through the environment of another process as soon as it answers.
func (s site) joinRun(ctx context.Context, pid int, out io.Writer) error {
	if !exists(s.envFile()) {
		if _, err := fmt.Fprintf(out, "Waiting for the run in this checkout (process %d) to be ready\n", pid); err != nil {
			return err
		}
	}
	if err := poll(ctx, startTimeout, func() bool { return exists(s.envFile()) }); err != nil {
		return fmt.Errorf("the run in this checkout (process %d) does not get ready: %w", pid, err)
	}
	return s.walk(ctx, out)
}

// walk reads where the environment is, which need not have this command's ports.
func (s site) walk(ctx context.Context, out io.Writer) error {
	variables, err := s.readEnv()
	if err != nil {
		return err
	}
	if s.base, err = portOf(variables["LATCHKEY_ISSUER"]); err != nil {
		return err
	}
	return tour.Walk(ctx, tour.Config{
		PrintShop:     s.printShop(),
		Photos:        s.photos(),
		Issuer:        s.httpIssuer(),
		Review:        variables["LATCHKEY_REVIEW"],
		CA:            variables["LATCHKEY_CA"],
		ReviewerToken: s.photosToken(),
		Kubeconfig:    variables["KUBECONFIG"],
	}, out)
}
