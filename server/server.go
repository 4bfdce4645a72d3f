// Package server is the authorization server: it puts the endpoints together, finds the issuer that a request is for, and
// answers what they return. Every URL is in the route table of this file.
package server

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/authorize"
	"github.com/latchkey-io/latchkey/server/clientauth"
	"github.com/latchkey-io/latchkey/server/consent"
	"github.com/latchkey-io/latchkey/server/device"
	"github.com/latchkey-io/latchkey/server/discovery"
	"github.com/latchkey-io/latchkey/server/grant"
	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/introspect"
	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/login"
	"github.com/latchkey-io/latchkey/server/logout"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/outbound"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/revoke"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/ui"
	"github.com/latchkey-io/latchkey/server/userinfo"
	"github.com/latchkey-io/latchkey/server/workload"
)

// Config is what a server needs.
type Config struct {
	// Holder gives the snapshot that a request sees.
	Holder *registry.Holder
	// Grants is where grants are kept.
	Grants store.Grants
	// Devices is where the requests of devices are kept.
	Devices store.Devices
	// SignOuts is where sign-outs are kept.
	SignOuts store.SignOuts
	// Callers proves the ServiceAccounts that introspect tokens, are clients, or have called one. When nil, none does, is or has.
	Callers *workload.Callers
	// SecretUses is told of client secrets that are used; nobody is when nil.
	SecretUses clientauth.SecretUses
	// TrustedProxies are the networks whose X-Forwarded-For is believed; none by default.
	TrustedProxies []netip.Prefix
	// Limits are how often requests may come; there is no limit when zero.
	Limits limit.Rates
	// Outbound calls URLs that clients declare; as package outbound makes it without any allowance when nil.
	Outbound *http.Client
	// Logouts tells clients of sign-outs, and is drained by whoever made it; one that nobody drains is made when nil.
	Logouts *logout.Notifier
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger receives audit events and failures.
	Logger *slog.Logger
	// Metrics counts what happens; NewMetrics makes it.
	Metrics *Metrics
}

// Validate says what is missing.
func (c *Config) Validate() error {
	switch {
	case c.Holder == nil:
		return errors.New("server: Config.Holder is missing")
	case c.Grants == nil:
		return errors.New("server: Config.Grants is missing")
	case c.Devices == nil:
		return errors.New("server: Config.Devices is missing")
	case c.SignOuts == nil:
		return errors.New("server: Config.SignOuts is missing")
	case c.Logger == nil:
		return errors.New("server: Config.Logger is missing")
	case c.Metrics == nil:
		return errors.New("server: Config.Metrics is missing")
	}
	return nil
}

// kind says what a route's answers look like when it fails, and who may read them.
type kind int

const (
	page    kind = iota // an HTML page
	api                 // JSON (RFC 6749 section 5.2), readable by scripts of any origin
	backend             // JSON for servers: no script of another origin reads it
	bearer              // a protected resource (RFC 6750 section 3), readable by scripts of any origin
	public              // a document that anybody may read and keep
)

// endpoint answers requests for one URL of an issuer. Everything it needs of the world is in the issuer, which belongs to
// one snapshot. An error it returns is turned into an answer; it has written nothing then.
type endpoint func(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error

// route is a URL below an issuer.
type route struct {
	name    string
	kind    kind
	methods []string
	serve   endpoint
	// shared routes answer at a path where no issuer is, too, with none: pages that say so need a stylesheet.
	shared bool
}

// New makes the handler of the public listeners: every issuer with all its endpoints.
func New(c Config) (http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Outbound == nil {
		c.Outbound = outbound.New(outbound.Config{})
	}
	if c.Logouts == nil {
		c.Logouts = logout.NewNotifier(logout.NotifierConfig{Outbound: c.Outbound, Now: c.Now, Logger: c.Logger})
	}
	pages, err := ui.New()
	if err != nil {
		return nil, err
	}
	limits, source := limit.NewRequests(c.Limits), limit.SourceOf(c.TrustedProxies)
	return &dispatcher{
		routes:  routes(c, pages, limits, source),
		limits:  limits,
		source:  source,
		holder:  c.Holder,
		pages:   pages,
		logger:  c.Logger,
		metrics: c.Metrics,
		now:     c.Now,
	}, nil
}

// routes is every URL there is, below the path of an issuer.
func routes(c Config, pages *ui.Pages, limits *limit.Requests, source func(*http.Request) netip.Addr) map[string]route {
	var (
		table    map[string]route
		get      = []string{http.MethodGet}
		post     = []string{http.MethodPost}
		getPost  = []string{http.MethodGet, http.MethodPost}
		verifier = &token.Verifier{Grants: c.Grants, SignOuts: c.SignOuts, Now: c.Now, Seen: token.NewSeen()}
		sessions = session.Loader{SignOuts: c.SignOuts}
		clients  = clientauth.New(clientsConfig(c, limits, source))

		authorization = authorize.New(authorize.Config{Pages: pages, Sessions: sessions, Grants: c.Grants, Now: c.Now, Logger: c.Logger})
		signIn        = login.New(login.Config{Pages: pages, Sessions: sessions, Now: c.Now, Logger: c.Logger, Source: source})
		approval      = consent.New(consent.Config{Pages: pages, Sessions: sessions, Grants: c.Grants, Now: c.Now, Logger: c.Logger})
		tokens        = grant.New(grantConfig(c, clients, source))
		deviceCodes   = device.New(device.Config{Pages: pages, Sessions: sessions, Devices: c.Devices, Now: c.Now, Logger: c.Logger, Source: source})
		deviceAsks    = device.NewRequestHandler(device.RequestConfig{Devices: c.Devices, Clients: clients, Now: c.Now, Logger: c.Logger, Source: source})
		claims        = userinfo.New(userinfo.Config{Verifier: verifier})
		signOut       = logout.New(logout.Config{Pages: pages, Grants: c.Grants, SignOuts: c.SignOuts, Sessions: sessions, Notifier: c.Logouts, Now: c.Now, Logger: c.Logger, Source: source})
		introspection = introspect.New(introspect.Config{Verifier: verifier, Clients: clients, Callers: c.Callers, Now: c.Now, Logger: c.Logger, Source: source})
		revocation    = revoke.New(revoke.Config{Grants: c.Grants, Clients: clients, Now: c.Now, Logger: c.Logger, Source: source})
		documents     = discovery.New(func(path string) bool { return table[path].serve != nil })
	)
	table = map[string]route{
		"/authorize":                        {name: "authorize", kind: page, methods: getPost, serve: authorization.Serve},
		"/login":                            {name: "login", kind: page, methods: getPost, serve: signIn.Serve},
		logout.Path:                         {name: "logout", kind: page, methods: getPost, serve: signOut.Serve},
		"/consent":                          {name: "consent", kind: page, methods: getPost, serve: approval.Serve},
		"/token":                            {name: "token", kind: api, methods: post, serve: tokens.Serve},
		"/device_authorization":             {name: "device_authorization", kind: api, methods: post, serve: deviceAsks.Serve},
		interaction.DevicePath:              {name: "device", kind: page, methods: getPost, serve: deviceCodes.Serve},
		"/userinfo":                         {name: "userinfo", kind: bearer, methods: getPost, serve: claims.Serve},
		"/introspect":                       {name: "introspect", kind: backend, methods: post, serve: introspection.Serve},
		"/revoke":                           {name: "revoke", kind: api, methods: post, serve: revocation.Serve},
		"/jwks":                             {name: "jwks", kind: public, methods: get, serve: documents.JWKS},
		"/.well-known/openid-configuration": {name: "discovery", kind: public, methods: get, serve: documents.Metadata},
		"/.well-known/oauth-authorization-server": {name: "discovery", kind: public, methods: get, serve: documents.Metadata},
		ui.AssetsPath: {name: "assets", kind: public, methods: get, serve: pages.Assets().Serve, shared: true},
	}
	return table
}

// Review makes the handler of the listener that kube-apiserver and services reach: reviews, which answers TokenReviews, and beside it
// what a kube-apiserver needs that verifies tokens itself.
func Review(reviews http.Handler, holder *registry.Holder, logger *slog.Logger) http.Handler {
	documents := discovery.NewForKubernetes(holder, logger)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, oauth.KubernetesPath) {
			documents.ServeHTTP(w, r)
			return
		}
		reviews.ServeHTTP(w, r)
	})
}

func clientsConfig(c Config, limits *limit.Requests, source func(*http.Request) netip.Addr) clientauth.Config {
	config := clientauth.Config{Outbound: c.Outbound, SecretUses: c.SecretUses, Limits: limits, Source: source}
	if c.Callers != nil { // an interface that holds a nil pointer is not nil
		config.ServiceAccounts = c.Callers
	}
	return config
}

func grantConfig(c Config, clients *clientauth.Authenticator, source func(*http.Request) netip.Addr) grant.Config {
	config := grant.Config{Grants: c.Grants, Devices: c.Devices, SignOuts: c.SignOuts, Clients: clients, Now: c.Now, Logger: c.Logger, Source: source}
	if c.Callers != nil {
		config.Workloads = c.Callers
	}
	return config
}

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10
