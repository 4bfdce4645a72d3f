package controllers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/latchkey-io/latchkey/server/listen"
)

// Bounds of the listener for probes and metrics: a few callers, now and then.
const (
	maxHealthConnections = 256
	maxHealthRequests    = 64
)

// serveHealth serves /healthz, /readyz and /metrics on one address, on every replica, and before caches are filled. The listener that
// comes with the manager knows neither how many may connect nor any limit below half a minute.
func serveHealth(ctx context.Context, mgr ctrl.Manager, c Config, caches ...cache.Cache) error {
	if c.HealthBindAddress == "0" {
		return nil
	}
	l := healthListener(c.HealthBindAddress, append(caches, mgr.GetCache()))
	socket, err := listen.Open(ctx, l)
	if err != nil {
		return err
	}
	drain := time.Second
	return mgr.Add(&manager.Server{
		Name: l.Name, Server: listen.NewServer(l, slog.New(logr.ToSlogHandler(c.Logger))), Listener: socket, ShutdownTimeout: &drain,
	})
}

func healthListener(address string, caches []cache.Cache) listen.Listener {
	return listen.Listener{
		Name: "health", Address: address, Handler: healthHandler(caches),
		MaxConnections: maxHealthConnections, MaxRequests: maxHealthRequests,
	}
}

func healthHandler(caches []cache.Cache) http.Handler {
	synced := func(req *http.Request) error {
		ctx, cancel := context.WithTimeout(req.Context(), time.Second)
		defer cancel()
		for _, c := range caches {
			if !c.WaitForCacheSync(ctx) {
				return errors.New("the cache is not filled yet")
			}
		}
		return nil
	}
	live := http.StripPrefix("/healthz", &healthz.Handler{Checks: map[string]healthz.Checker{"ping": healthz.Ping}})
	ready := http.StripPrefix("/readyz", &healthz.Handler{Checks: map[string]healthz.Checker{"caches": synced}})
	mux := http.NewServeMux()
	for path, h := range map[string]http.Handler{
		"/healthz": live, "/healthz/": live, "/readyz": ready, "/readyz/": ready,
		"/metrics": promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}),
	} {
		mux.Handle(path, h)
	}
	return mux
}
