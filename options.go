package main

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/listen"
	"github.com/latchkey-io/latchkey/server/outbound"
)

// namespaceFile is where a pod finds its own namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// options are the flags of all commands.
type options struct {
	// For every process.
	kubeconfig, namespace string
	healthAddress         string
	logLevel              slog.Level
	servingSecret         string

	// For the controller.
	leaderElect     bool
	servingDNSNames string
	reviewReachedAt string

	// For the server.
	address, httpAddress, reviewAddress               string
	tlsCertFile, tlsKeyFile                           string
	reviewCertFile, reviewKeyFile, reviewClientCAFile string
	store                                             string
	trustedProxies                                    string
	outboundAllowedCIDRs, outboundCAFile              string
	secretUsageDelay, shutdownDelay                   time.Duration
	profiling                                         bool
	maxConnections, maxRequests                       int
	limits                                            limit.Rates
}

// parseOptions parses the flags of a command.
func parseOptions(command string, args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("latchkey "+command, flag.ContinueOnError)
	o.registerCommon(fs, command)
	if command != "server" {
		o.registerController(fs)
	}
	if command != "controller" {
		o.registerServer(fs)
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage // the flag package has printed what is wrong
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "latchkey %s: unexpected argument %q\n", command, fs.Arg(0))
		return nil, errUsage
	}
	if err := o.validate(); err != nil {
		fmt.Fprintf(os.Stderr, "latchkey %s: %v\n", command, err)
		return nil, errUsage
	}
	return o, nil
}

func (o *options) registerCommon(fs *flag.FlagSet, command string) {
	health := ":8081"
	if command == "controller" {
		health = ":8082"
	}
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file` of Latchkey's ServiceAccount (admission policies let nobody else write status); the pod's own when empty")
	fs.StringVar(&o.namespace, "namespace", defaultNamespace(), "`namespace` of the operator: keys, grants and users' passwords are there")
	fs.StringVar(&o.healthAddress, "health-bind-address", health, "`address` of /healthz, /readyz and /metrics (plain http)")
	fs.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "least `level` that is logged: DEBUG, INFO, WARN or ERROR")
	fs.StringVar(&o.servingSecret, "serving-secret", "latchkey-serving-cert", "kubernetes.io/tls `Secret` with the serving certificate, in the operator's namespace")
}

func (o *options) registerController(fs *flag.FlagSet) {
	fs.BoolVar(&o.leaderElect, "leader-elect", true, "let one of several controllers act at a time")
	fs.StringVar(&o.servingDNSNames, "serving-dns-names", "", "comma-separated host `names` for the serving certificate, beside those of the issuers and of --review-address")
	fs.StringVar(&o.reviewReachedAt, "review-address", "", "`host:port` at which kube-apiserver reaches the server's listener for TokenReviews, for Secrets latchkey-webhook and latchkey-authentication-configuration; Service latchkey-server and port 9443 when empty, which a kube-apiserver that can't resolve Services' names does not reach")
}

func (o *options) registerServer(fs *flag.FlagSet) {
	fs.StringVar(&o.address, "bind-address", ":8443", "`address` of the https listener for browsers and clients")
	fs.StringVar(&o.httpAddress, "http-bind-address", "", "`address` of a plain http listener, for http issuers on loopback hosts or behind a proxy that ends TLS; none when empty")
	fs.StringVar(&o.reviewAddress, "review-bind-address", ":9443", "`address` of the https listener for TokenReviews")
	fs.StringVar(&o.tlsCertFile, "tls-cert-file", "", "PEM `file` with the serving certificate, instead of the Secret; read again when it changes")
	fs.StringVar(&o.tlsKeyFile, "tls-key-file", "", "PEM `file` with its key")
	fs.StringVar(&o.reviewCertFile, "review-tls-cert-file", "", "PEM `file` with the certificate of the review listener; the serving certificate when empty")
	fs.StringVar(&o.reviewKeyFile, "review-tls-key-file", "", "PEM `file` with its key")
	fs.StringVar(&o.reviewClientCAFile, "review-client-ca-file", "", "PEM `file` with the CA of kube-apiserver's client certificate, read at start, instead of that in Secret latchkey-webhook-client-ca, which the controller makes and the server follows")
	fs.StringVar(&o.store, "store", "kubernetes", "where grants are kept: `kubernetes`, or memory (one replica, lost on restart)")
	fs.StringVar(&o.trustedProxies, "trusted-proxies", "", "comma-separated `CIDRs` of proxies whose X-Forwarded-For is believed")
	fs.StringVar(&o.outboundAllowedCIDRs, "outbound-allowed-cidrs", "", "comma-separated `CIDRs`, beside public addresses, at which clients' own URLs (jwksURI, logout) may be called; give the cluster's Service CIDR to let them name Services: "+
		"then whoever may create OAuthClients can make the server send https requests, with fixed content, to any Service. Loopback addresses given here may be called over plain http, too")
	fs.DurationVar(&o.secretUsageDelay, "secret-usage-delay", 15*time.Second, "how long the first use of a client secret waits at most until an OAuthClient's status.secretUsage tells of it; later uses are written once an hour at most")
	fs.DurationVar(&o.shutdownDelay, "shutdown-delay", 0, "how long the server still serves, not ready any more, after it was told to end: as long as whoever routes requests to it needs to notice")
	fs.BoolVar(&o.profiling, "profiling", false, "serve /debug/pprof beside /metrics: what takes time and memory, to whoever reaches that address")
	fs.IntVar(&o.maxConnections, "max-connections", 4096, "how many connections a listener has at most, half of them from one address; 0 for no bound")
	fs.IntVar(&o.maxRequests, "max-requests", 4096, "how many requests a listener answers at a time at most, half of them from one address; more are told to come back; 0 for no bound")
	o.registerLimits(fs)
	fs.StringVar(&o.outboundCAFile, "outbound-ca-file", "", "PEM `file` with CAs that are trusted at clients' own URLs, beside the system's; read at start")
}

func (o *options) registerLimits(fs *flag.FlagSet) {
	d := limit.DefaultRates()
	for _, l := range []struct {
		name, usage string
		rate, value *limit.Rate
	}{
		{"limit-pages", "requests for pages (authorize, login, consent, device, logout) from one address", &o.limits.Page, &d.Page},
		{"limit-unproven", "requests from one address whose client credential or access token is no good; others from there are served", &o.limits.Unproven, &d.Unproven},
		{"limit-public-clients", "requests in the name of one public client from one address", &o.limits.Public, &d.Public},
		{"limit-clients", "requests of one client that has proven itself", &o.limits.Client, &d.Client},
	} {
		fs.TextVar(l.rate, l.name, l.value, "limit on "+l.usage+", by each replica: `rate:burst`, the rate in requests a second; 0 for no limit")
	}
}

func (o *options) validate() error {
	if (o.tlsCertFile == "") != (o.tlsKeyFile == "") {
		return errors.New("--tls-cert-file and --tls-key-file go together")
	}
	if (o.reviewCertFile == "") != (o.reviewKeyFile == "") {
		return errors.New("--review-tls-cert-file and --review-tls-key-file go together")
	}
	if o.store != "" && o.store != "kubernetes" && o.store != "memory" {
		return fmt.Errorf("--store=%s: must be kubernetes or memory", o.store)
	}
	if o.secretUsageDelay < 0 {
		return fmt.Errorf("--secret-usage-delay=%s: must not be negative", o.secretUsageDelay)
	}
	if o.shutdownDelay < 0 {
		return fmt.Errorf("--shutdown-delay=%s: must not be negative", o.shutdownDelay)
	}
	if o.maxConnections < 0 || o.maxRequests < 0 {
		return errors.New("--max-connections and --max-requests must not be negative")
	}
	if _, err := o.proxies(); err != nil {
		return err
	}
	_, err := parseCIDRs("--outbound-allowed-cidrs", o.outboundAllowedCIDRs)
	return err
}

// bound sets the bounds of listeners. Only public ones are behind proxies.
func (o *options) bound(all []listen.Listener, proxies []netip.Prefix) []listen.Listener {
	for i := range all {
		all[i].MaxConnections, all[i].MaxRequests = o.maxConnections, o.maxRequests
		if all[i].Name == "https" || all[i].Name == "http" {
			all[i].TrustedProxies = proxies
		}
	}
	return all
}

func (o *options) proxies() ([]netip.Prefix, error) {
	return parseCIDRs("--trusted-proxies", o.trustedProxies)
}

func parseCIDRs(name, list string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range splitList(list) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a CIDR such as 10.0.0.0/8", name, s)
		}
		out = append(out, p)
	}
	return out, nil
}

// outbound says where, and by whose certificates, clients' own URLs may be called.
func (o *options) outbound() (outbound.Config, error) {
	allowed, err := parseCIDRs("--outbound-allowed-cidrs", o.outboundAllowedCIDRs)
	if err != nil || o.outboundCAFile == "" {
		return outbound.Config{AllowedCIDRs: allowed}, err
	}
	text, err := os.ReadFile(o.outboundCAFile)
	if err != nil {
		return outbound.Config{}, fmt.Errorf("--outbound-ca-file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return outbound.Config{}, fmt.Errorf("the system's CAs: %w", err)
	}
	if !roots.AppendCertsFromPEM(text) {
		return outbound.Config{}, fmt.Errorf("--outbound-ca-file: %s holds no PEM certificate", o.outboundCAFile)
	}
	return outbound.Config{AllowedCIDRs: allowed, RootCAs: roots}, nil
}

// restConfig says how kube-apiserver is reached. API priority and fairness on its side replaces client-side limits.
func (o *options) restConfig() (*rest.Config, error) {
	var (
		config *rest.Config
		err    error
	)
	if o.kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	} else if config, err = rest.InClusterConfig(); errors.Is(err, rest.ErrNotInCluster) {
		return nil, errors.New("not in a cluster: say with --kubeconfig how to reach one")
	}
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig=%s: %w", o.kubeconfig, err)
	}
	config.QPS = -1
	config.UserAgent = "latchkey/" + version()
	return config, nil
}

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func defaultNamespace() string {
	if b, err := os.ReadFile(namespaceFile); err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b))
	}
	return "latchkey-system"
}
