package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/latchkey-io/latchkey/server/clock"
)

// newClock makes the clock of a process, which sees from now on how requests by way of config are answered. What it returns besides keeps it
// right while there are none, until the context ends.
func newClock(config *rest.Config, metrics prometheus.Registerer, logger *slog.Logger) (*clock.Clock, func(context.Context) error, error) {
	c := clock.New(logger)
	config.Wrap(c.Watch)
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	follow := func(ctx context.Context) error {
		return c.Follow(ctx, func(ctx context.Context) error { return api.RESTClient().Get().AbsPath("/version").Do(ctx).Error() })
	}
	return c, follow, metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_clock_offset_seconds",
		Help: "By how much kube-apiserver's clock, which is believed, is ahead of this machine's; 0 while the two agree.",
	}, func() float64 { return c.Offset().Seconds() }))
}
