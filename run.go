package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// runProcess runs controller, server or both until the context ends.
func runProcess(ctx context.Context, command string, args []string) error {
	o, err := parseOptions(command, args)
	if err != nil {
		return err
	}
	logger := newLogger(o.logLevel)
	group, ctx := errgroup.WithContext(ctx)
	if command != "server" {
		group.Go(func() error { return runController(ctx, o, logger, command == "all") })
	}
	if command != "controller" {
		group.Go(func() error { return runServer(ctx, o, logger) })
	}
	return group.Wait()
}

// newLogger makes the one logger of the process, which libraries that log for themselves get too.
func newLogger(level slog.Level) *slog.Logger {
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level})
	ctrllog.SetLogger(logr.FromSlogHandler(handler))
	klog.SetLogger(logr.FromSlogHandler(handler))
	return slog.New(handler)
}

// newScheme knows Kubernetes' own kinds and ours.
func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		return nil, err
	}
	return s, v1alpha1.AddToScheme(s)
}
