package main

import (
	"cmp"
	"context"
	"time"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/latchkey-io/latchkey/controllers"
	"github.com/latchkey-io/latchkey/server/storage"
)

// runController reconciles until the context ends. Beside a server it leaves health and metrics to that.
func runController(ctx context.Context, o *options, besideServer bool) error {
	config, err := o.restConfig()
	if err != nil {
		return err
	}
	health := o.healthAddress
	if besideServer {
		health = "0"
	}
	return controllers.Run(ctx, controllers.Config{
		REST: config, Namespace: o.namespace, HealthBindAddress: health, LeaderElect: o.leaderElect,
		ServingSecret: o.servingSecret, ServingNames: splitList(o.servingDNSNames),
		ReviewAddress: cmp.Or(o.reviewReachedAt, "latchkey-server."+o.namespace+".svc:9443"),
		Now:           time.Now, Logger: ctrllog.Log, CheckStorage: storage.Check, PurgeStorage: storage.Purge,
	})
}
