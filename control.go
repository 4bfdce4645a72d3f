package main

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/latchkey-io/latchkey/controllers"
	"github.com/latchkey-io/latchkey/server/storage"
)

// runController reconciles until the context ends. Beside a server it leaves health and metrics to that.
func runController(ctx context.Context, o *options, logger *slog.Logger, besideServer bool) error {
	config, err := o.restConfig()
	if err != nil {
		return err
	}
	health, registry := o.healthAddress, prometheus.Registerer(metrics.Registry)
	if besideServer {
		health, registry = "0", prometheus.NewRegistry()
	}
	clock, follow, err := newClock(config, registry, logger)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return follow(ctx) })
	if !besideServer { // which sees to it
		group.Go(func() error { return boundHeap(ctx, func() error { return nil }) })
	}
	group.Go(func() error { return controllers.Run(ctx, o.controllers(config, health, clock.Now)) })
	return group.Wait()
}

// controllers is the configuration of the controllers.
func (o *options) controllers(config *rest.Config, health string, now func() time.Time) controllers.Config {
	return controllers.Config{
		REST: config, Namespace: o.namespace, HealthBindAddress: health, LeaderElect: o.leaderElect,
		ServingSecret: o.servingSecret, ServingNames: splitList(o.servingDNSNames),
		ReviewAddress: cmp.Or(o.reviewReachedAt, "latchkey-server."+o.namespace+".svc:9443"),
		Now:           now, Logger: ctrllog.Log, CheckStorage: storage.Check, PurgeStorage: storage.Purge,
	}
}
