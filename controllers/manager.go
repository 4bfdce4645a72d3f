// Package controllers runs the reconcilers: one package a kind, all registered here.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/authentication"
	"github.com/latchkey-io/latchkey/controllers/authorizationserver"
	"github.com/latchkey-io/latchkey/controllers/certificate"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/localuser"
	"github.com/latchkey-io/latchkey/controllers/oauthclient"
	"github.com/latchkey-io/latchkey/controllers/oauthgrant"
	"github.com/latchkey-io/latchkey/controllers/resourceserver"
	"github.com/latchkey-io/latchkey/controllers/status"
)

// leaseName is the Lease by which controllers elect a leader.
const leaseName = "latchkey-controller"

// reconcileTimeout is how long one look at an object may take. It is a handful of calls; one that is never answered must not keep the
// others waiting.
const reconcileTimeout = 30 * time.Second

// Config is what the controller needs to run.
type Config struct {
	// REST is how the API server is reached.
	REST *rest.Config
	// Namespace is the operator's own.
	Namespace string
	// HealthBindAddress serves /healthz, /readyz and /metrics over http; "0" for none.
	HealthBindAddress string
	// LeaderElect makes several replicas agree on the one that works. Without it there must be one only.
	LeaderElect bool
	// ServingSecret is the name of the Secret for the server's certificate, in Namespace.
	ServingSecret string
	// ReviewAddress is host:port at which kube-apiserver reaches the server's listener for TokenReviews.
	ReviewAddress string
	// ServingNames are DNS names and IP addresses the certificate is for, besides the hosts of https issuers and of ReviewAddress.
	ServingNames []string
	Now          func() time.Time
	Logger       logr.Logger
	// CheckStorage and PurgeStorage look after a place outside Kubernetes where grants are kept, by the data of the Secret that says how it
	// is reached: what is wrong with it, and deleting the grants of a client.
	CheckStorage func(ctx context.Context, secret map[string][]byte) error
	PurgeStorage func(ctx context.Context, secret map[string][]byte, clientUID string) error
}

// Validate says what is wrong with the Config.
func (c *Config) Validate() error {
	var failures []error
	if c.REST == nil {
		failures = append(failures, errors.New("no API server is configured"))
	}
	if bad := validation.IsDNS1123Label(c.Namespace); len(bad) > 0 {
		failures = append(failures, fmt.Errorf("namespace %q: %s", c.Namespace, strings.Join(bad, "; ")))
	}
	if bad := validation.IsDNS1123Subdomain(c.ServingSecret); len(bad) > 0 {
		failures = append(failures, fmt.Errorf("serving secret %q: %s", c.ServingSecret, strings.Join(bad, "; ")))
	}
	if slices.Contains([]string{certificate.AuthoritySecret, certificate.ClientAuthoritySecret, certificate.WebhookSecret, authentication.SecretName}, c.ServingSecret) {
		failures = append(failures, fmt.Errorf("serving secret %q is that of an authority, or of kube-apiserver's webhook or AuthenticationConfiguration", c.ServingSecret))
	}
	if host := certificate.Host(c.ReviewAddress); net.ParseIP(host) == nil && len(validation.IsDNS1123Subdomain(host)) > 0 {
		failures = append(failures, fmt.Errorf("review address %q is not host:port", c.ReviewAddress))
	}
	for _, name := range c.ServingNames {
		if net.ParseIP(name) == nil && len(validation.IsDNS1123Subdomain(name)) > 0 && len(validation.IsWildcardDNS1123Subdomain(name)) > 0 {
			failures = append(failures, fmt.Errorf("serving name %q is neither a DNS name nor an IP address", name))
		}
	}
	if c.HealthBindAddress == "" {
		failures = append(failures, errors.New(`the health address is empty; "0" turns it off`))
	}
	if c.Now == nil {
		failures = append(failures, errors.New("there is no clock"))
	}
	if c.CheckStorage == nil || c.PurgeStorage == nil {
		failures = append(failures, errors.New("nobody looks after storage outside Kubernetes"))
	}
	return errors.Join(failures...)
}

// Scheme knows the kinds that the controllers read and write.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, eventsv1.AddToScheme, coordinationv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Run runs all reconcilers until the context ends.
func Run(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	mgr, err := newManager(c)
	if err != nil {
		return fmt.Errorf("controller manager: %w", err)
	}
	if err := setup(ctx, mgr, c); err != nil {
		return fmt.Errorf("set up controllers: %w", err)
	}
	return mgr.Start(ctx)
}

func newManager(c Config) (ctrl.Manager, error) {
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	skip := true
	return ctrl.NewManager(unlimited(c.REST), ctrl.Options{
		Scheme: scheme,
		Logger: c.Logger,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			// Of Secrets, only those of the operator's own namespace are held in memory.
			ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: {Namespaces: map[string]cache.Config{c.Namespace: {}}}},
		},
		LeaderElection: c.LeaderElect, LeaderElectionID: leaseName, LeaderElectionNamespace: c.Namespace,
		LeaderElectionReleaseOnCancel: true,                                    // Run ends right after
		Metrics:                       metricsserver.Options{BindAddress: "0"}, // serveHealth has them
		// Names need be unique for metrics only, and one process may run several managers.
		Controller: config.Controller{SkipNameValidation: &skip, Logger: c.Logger, ReconciliationTimeout: reconcileTimeout},
	})
}

// unlimited is the configuration without client-side rate limit, unless one is set: the API server's own priority and
// fairness decides.
func unlimited(c *rest.Config) *rest.Config {
	c = rest.CopyConfig(c)
	if c.QPS == 0 {
		c.QPS = -1
	}
	return c
}

// setup registers everything that runs in the manager.
func setup(ctx context.Context, mgr ctrl.Manager, c Config) error {
	if err := compile.SetupIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	metadata, err := metadataCache(mgr)
	if err != nil {
		return err
	}
	recorder := mgr.GetEventRecorder(status.FieldManager)
	servers := &authorizationserver.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: c.Namespace, Events: recorder, Now: c.Now, CheckStorage: c.CheckStorage}
	resources := &resourceserver.Reconciler{Client: mgr.GetClient(), Namespace: c.Namespace, Events: recorder, Now: c.Now}
	users := &localuser.Reconciler{Client: mgr.GetClient(), Namespace: c.Namespace, Events: recorder, Now: c.Now}
	clients := &oauthclient.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: c.Namespace, Events: recorder, Now: c.Now}
	serving := &certificate.Reconciler{Client: mgr.GetClient(), Namespace: c.Namespace, ServingSecret: c.ServingSecret, Names: append(slices.Clone(c.ServingNames), certificate.Host(c.ReviewAddress)), Now: c.Now}
	webhook := &certificate.Webhook{Client: mgr.GetClient(), Namespace: c.Namespace, ServingSecret: c.ServingSecret, Address: c.ReviewAddress, Now: c.Now}
	verifying := &authentication.Reconciler{Client: mgr.GetClient(), Namespace: c.Namespace, ServingSecret: c.ServingSecret, Address: c.ReviewAddress}
	sweeper := &oauthgrant.Sweeper{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: c.Namespace, Now: c.Now, Logger: c.Logger.WithName("oauthgrant")}
	purger := &oauthgrant.Purger{Cache: mgr.GetCache(), Client: mgr.GetClient(), Namespace: c.Namespace, Purge: c.PurgeStorage, Logger: c.Logger.WithName("oauthgrant")}
	return errors.Join(
		servers.SetupWithManager(mgr),
		resources.SetupWithManager(ctx, mgr),
		users.SetupWithManager(ctx, mgr),
		clients.SetupWithManager(ctx, mgr, metadata),
		serving.SetupWithManager(mgr),
		webhook.SetupWithManager(mgr),
		verifying.SetupWithManager(mgr),
		mgr.Add(sweeper),
		mgr.Add(purger),
		serveHealth(ctx, mgr, c, metadata),
	)
}

// metadataCache is a cache of the metadata of all Secrets and of ServiceAccounts that clients can name. It is apart from the manager's
// own, which is bound to one namespace for Secrets. Annotations are left out: kubectl apply keeps the data of a Secret in one.
func metadataCache(mgr ctrl.Manager) (cache.Cache, error) {
	metadata, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{oauthclient.ServiceAccountMetadata(): {Field: oauthclient.NameableServiceAccounts()}},
		DefaultTransform: func(object any) (any, error) {
			if m, ok := object.(metav1.Object); ok {
				m.SetManagedFields(nil)
				m.SetAnnotations(nil)
			}
			return object, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return metadata, mgr.Add(cacheRunnable{metadata})
}

// cacheRunnable tells the manager, by GetCache, to fill the cache before controllers start, on every replica.
type cacheRunnable struct{ cache.Cache }

// GetCache implements what the manager knows caches by.
func (c cacheRunnable) GetCache() cache.Cache { return c.Cache }
