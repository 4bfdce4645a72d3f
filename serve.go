package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	authority "github.com/latchkey-io/latchkey/controllers/certificate"
	"github.com/latchkey-io/latchkey/controllers/publish"
	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/certificate"
	"github.com/latchkey-io/latchkey/server/clock"
	"github.com/latchkey-io/latchkey/server/listen"
	"github.com/latchkey-io/latchkey/server/loglimit"
	"github.com/latchkey-io/latchkey/server/logout"
	"github.com/latchkey-io/latchkey/server/outbound"
	"github.com/latchkey-io/latchkey/server/pages"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/review"
	"github.com/latchkey-io/latchkey/server/storage"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/kubernetes"
	"github.com/latchkey-io/latchkey/server/store/memory"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/usage"
	"github.com/latchkey-io/latchkey/server/workload"
)

// process is a server being put together: what runs beside the listeners, and what /readyz asks.
type process struct {
	options  *options
	logger   *slog.Logger
	config   *rest.Config
	client   client.WithWatch
	cache    cache.Cache
	watchdog *publish.Watchdog
	holder   *registry.Holder
	registry *prometheus.Registry
	metrics  *server.Metrics
	clock    *clock.Clock
	logouts  *logout.Notifier
	usage    *usage.Recorder
	run      []func(context.Context) error
	checks   map[string]func() error
}

// runServer serves until the context ends.
func runServer(ctx context.Context, o *options, logger *slog.Logger) error {
	p, err := newProcess(o, logger)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	p.checks["shutdown"] = func() error {
		if ctx.Err() != nil {
			return errors.New("the server is shutting down")
		}
		return nil
	}
	if err := p.reach(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if err := p.publish(ctx); err != nil {
		return err
	}
	if err := p.recordUsage(); err != nil {
		return err
	}
	stores, err := p.places()
	if err != nil {
		return err
	}
	listeners, err := p.listeners(ctx, stores)
	if err != nil {
		return err
	}
	return errors.Join(p.serve(ctx, end, listeners), p.drain())
}

// serve runs the listeners until the context ends, and what requests need until the last of them is answered. When that fails, it calls
// end, which ends the context.
func (p *process) serve(ctx context.Context, end func(), listeners []listen.Listener) error {
	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	needed, over := context.WithCancel(failed)
	defer context.AfterFunc(failed, end)()
	for _, run := range append(p.run, func(ctx context.Context) error { return boundHeap(ctx, p.ready) }) {
		group.Go(func() error { return run(needed) })
	}
	group.Go(func() error {
		defer over()
		return listen.Serve(ctx, p.logger, p.options.shutdownDelay, listeners...)
	})
	return group.Wait()
}

// drainTimeout is for how long clients are still told of sign-outs when the server ends: two attempts' worth.
const drainTimeout = 12 * time.Second

// drain ends what requests began and did not wait for.
func (p *process) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { return p.logouts.Drain(ctx) })
	group.Go(func() error { p.usage.Flush(ctx); return nil })
	return group.Wait()
}

func newProcess(o *options, logger *slog.Logger) (*process, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	p := &process{options: o, holder: &registry.Holder{}, registry: prometheus.NewRegistry(), checks: map[string]func() error{}}
	if p.metrics, err = server.NewMetrics(p.registry); err != nil {
		return nil, err
	}
	bounded := loglimit.New(logger.Handler(), time.Now, p.metrics.LogLineLeftOut)
	p.logger, p.run = slog.New(bounded), append(p.run, bounded.Start)
	if p.config, err = o.restConfig(); err != nil {
		return nil, err
	}
	clock, follow, err := newClock(p.config, p.registry, p.logger)
	if err != nil {
		return nil, err
	}
	p.clock, p.run, p.watchdog = clock, append(p.run, follow), &publish.Watchdog{Now: clock.Now}
	p.client, err = client.NewWithWatch(p.config, client.Options{Scheme: scheme})
	return p, err
}

// reachEvery is how often kube-apiserver is tried that is away when the server starts.
const reachEvery = time.Second

// reach waits for kube-apiserver. A server that ended because it is away would be started again later and later, and be missing when it
// is back. Until then probes are told that it lives and is not ready.
func (p *process) reach(ctx context.Context) error {
	away := p.described()
	if away == nil {
		return nil
	}
	p.logger.Warn("waiting for kube-apiserver", "error", away)
	checks := map[string]func() error{"kube-apiserver": func() error { return errors.New("it could not be reached yet") }}
	health := listen.Listener{Name: "health", Address: p.options.healthAddress, Handler: healthHandler(http.NotFoundHandler(), false, checks)}
	waiting, reached := context.WithCancel(ctx)
	group, waiting := errgroup.WithContext(waiting)
	group.Go(func() error {
		return listen.Serve(waiting, p.logger, 0, p.options.bound([]listen.Listener{health}, nil)...)
	})
	group.Go(func() error {
		defer reached()
		tick := time.NewTicker(reachEvery)
		defer tick.Stop()
		for p.described() != nil {
			select {
			case <-waiting.Done():
				return nil // of the group or the process, whichever says so
			case <-tick.C:
			}
		}
		return nil
	})
	return group.Wait()
}

// described says whether kube-apiserver tells what it serves.
func (p *process) described() error {
	_, err := p.client.RESTMapper().RESTMapping(corev1.SchemeGroupVersion.WithKind("Secret").GroupKind(), corev1.SchemeGroupVersion.Version)
	return err
}

// publish keeps the registry in step with the cluster.
func (p *process) publish(ctx context.Context) (err error) {
	if p.cache, err = publish.NewCache(p.config, p.client.Scheme(), p.options.namespace, p.watchdog); err != nil {
		return err
	}
	publisher, err := publish.New(ctx, publish.Config{
		Cache: p.cache, Watchdog: p.watchdog, Namespace: p.options.namespace, Holder: p.holder, Now: p.clock.Now, Logger: p.logger,
	})
	if err != nil {
		return err
	}
	p.checks["registry"] = publisher.Ready
	p.run = append(p.run, p.cache.Start, publisher.Start)
	return nil
}

// stores are what is kept of users' approvals, of the requests of devices, and of sign-outs.
type stores struct {
	grants   store.Grants
	devices  store.Devices
	signOuts store.SignOuts
}

// places opens the stores, with those that issuers name beside that of this process.
func (p *process) places() (*stores, error) {
	s, err := p.stores()
	if err != nil {
		return nil, err
	}
	places, err := storage.New(storage.Config{Grants: s.grants, Devices: s.devices, Holder: p.holder, Now: p.clock.Now, Logger: p.logger, OnWrite: p.metrics.StoreWrite})
	if err != nil {
		return nil, err
	}
	p.run = append(p.run, places.Start)
	return &stores{places.Grants(), places.Devices(), s.signOuts}, nil
}

// recordUsage has it told in status when clients' secrets are used.
func (p *process) recordUsage() (err error) {
	p.usage, err = usage.New(usage.Config{
		Client: p.client, Cache: p.cache, Delay: p.options.secretUsageDelay, Now: p.clock.Now, Logger: p.logger, OnWrite: p.metrics.SecretUsageWrite,
	})
	if err == nil {
		p.run = append(p.run, p.usage.Start)
	}
	return err
}

// stores opens the stores of this process.
func (p *process) stores() (*stores, error) {
	if p.options.store == "memory" {
		p.logger.Warn("grants are kept in memory: they are lost on restart, and only one replica may run")
		return &stores{memory.New(p.clock.Now), memory.NewDevices(p.clock.Now), memory.NewSignOuts(p.clock.Now)}, nil
	}
	all, err := pages.New(p.config)
	if err != nil {
		return nil, err
	}
	config := kubernetes.Config{Client: p.client, Pages: all, Namespace: p.options.namespace, Now: p.clock.Now, Logger: p.logger, OnWrite: p.metrics.StoreWrite}
	grants, err := kubernetes.New(config)
	if err != nil {
		return nil, err
	}
	devices, err := kubernetes.NewDevices(config)
	if err != nil {
		return nil, err
	}
	signOuts, err := kubernetes.NewSignOuts(config)
	if err != nil {
		return nil, err
	}
	p.run = append(p.run, grants.Start, devices.Start, signOuts.Start)
	p.checks["grants"] = func() error {
		if !grants.Synced() || !devices.Synced() || !signOuts.Synced() {
			return errors.New("the grants have not been read yet")
		}
		return nil
	}
	return &stores{grants, devices, signOuts}, nil
}

// listeners are the public one or two, that for TokenReviews, and that for probes and metrics.
func (p *process) listeners(ctx context.Context, s *stores) ([]listen.Listener, error) {
	o := p.options
	proxies, err := o.proxies()
	if err != nil {
		return nil, err
	}
	callers, err := p.callers()
	if err != nil {
		return nil, err
	}
	calls, err := o.outbound()
	if err != nil {
		return nil, err
	}
	caller := outbound.New(calls)
	p.logouts = logout.NewNotifier(logout.NotifierConfig{Outbound: caller, Now: p.clock.Now, Logger: p.logger})
	public, err := server.New(server.Config{
		Holder: p.holder, Grants: s.grants, Devices: s.devices, SignOuts: s.signOuts, Callers: callers, TrustedProxies: proxies, Outbound: caller, Logouts: p.logouts,
		SecretUses: p.usage, Limits: o.limits, Now: p.clock.Now, Logger: p.logger, Metrics: p.metrics,
	})
	if err != nil {
		return nil, err
	}
	serving, err := p.servingCertificate(ctx)
	if err != nil {
		return nil, err
	}
	reviewTLS, proven, err := p.reviewTLS(ctx, serving)
	if err != nil {
		return nil, err
	}
	reviews := &review.Handler{Holder: p.holder, Verifier: &token.Verifier{Grants: s.grants, SignOuts: s.signOuts, Now: p.clock.Now, Seen: token.NewSeen()}, Proven: proven, Callers: callers, Logger: p.logger}
	all := []listen.Listener{
		{Name: "https", Address: o.address, TLS: listen.TLSConfig(serving), Handler: public},
		{Name: "review", Address: o.reviewAddress, TLS: reviewTLS, Handler: server.Review(reviews, p.holder, p.logger)},
		{Name: "health", Address: o.healthAddress, Handler: healthHandler(promhttp.HandlerFor(prometheus.Gatherers{p.registry, ctrlmetrics.Registry}, promhttp.HandlerOpts{}), o.profiling, p.checks)},
	}
	if o.httpAddress != "" {
		all = append(all, listen.Listener{Name: "http", Address: o.httpAddress, Handler: public})
	}
	return o.bound(all, proxies), nil
}

// callers finds out about the ServiceAccounts that call.
func (p *process) callers() (*workload.Callers, error) {
	kube, err := clientset.NewForConfig(p.config)
	if err != nil {
		return nil, err
	}
	return workload.NewCallers(kube.AuthenticationV1().TokenReviews(), kube.AuthorizationV1().SubjectAccessReviews(), p.holder.Has, p.clock.Now), nil
}

type getCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// servingCertificate follows files, or the Secret.
func (p *process) servingCertificate(ctx context.Context) (getCertificate, error) {
	o := p.options
	if o.tlsCertFile != "" {
		return p.certificateFiles(o.tlsCertFile, o.tlsKeyFile)
	}
	holder := &certificate.Holder{}
	p.checks["serving certificate"] = holder.Ready
	return holder.Get, publish.WatchSecret(ctx, p.cache, o.namespace, o.servingSecret, p.logger, func(data map[string][]byte) error {
		if data == nil {
			return nil // what is served is served on
		}
		return holder.Set(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	})
}

// reviewTLS is the TLS of the review listener, where kube-apiserver may show a client certificate, and what says whether that counts
// still.
func (p *process) reviewTLS(ctx context.Context, serving getCertificate) (*tls.Config, func(*tls.ConnectionState) bool, error) {
	o := p.options
	var err error
	if o.reviewCertFile != "" {
		if serving, err = p.certificateFiles(o.reviewCertFile, o.reviewKeyFile); err != nil {
			return nil, nil, err
		}
	}
	callers := &certificate.Callers{}
	if o.reviewClientCAFile != "" {
		err = callersFile(callers, o.reviewClientCAFile)
	} else {
		err = publish.WatchSecret(ctx, p.cache, o.namespace, authority.ClientAuthoritySecret, p.logger, func(data map[string][]byte) error {
			return callers.Set(data[authority.BundleKey])
		})
	}
	proven := func(state *tls.ConnectionState) bool { return callers.Proven(state, p.clock.Now()) }
	config := listen.TLSConfig(serving)
	config.Time = p.clock.Now
	return callers.Ask(config), proven, err
}

func callersFile(callers *certificate.Callers, file string) error {
	pem, err := os.ReadFile(file)
	if err == nil && len(pem) == 0 {
		err = errors.New("it is empty")
	}
	if err == nil {
		err = callers.Set(pem)
	}
	if err != nil {
		return fmt.Errorf("--review-client-ca-file=%s: %w", file, err)
	}
	return nil
}

// certificateFiles follows a pair of files.
func (p *process) certificateFiles(chain, key string) (getCertificate, error) {
	w, err := certwatcher.New(chain, key)
	if err != nil {
		return nil, err
	}
	p.run = append(p.run, w.Start)
	return w.GetCertificate, nil
}
