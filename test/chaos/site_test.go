package chaos

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

const (
	// callback is where users are sent back to. Nobody opens it. Consent is remembered for it, as it would not be for a loopback address.
	callback = "https://app.example/callback"
	password = "wonderland"
	// machineSecret is that of the client without a user.
	machineSecret = "a-client-secret-of-enough-length-for-anybody"
)

// flowsOfOne is how many flows of one user there may be before there is another user: one user has 2,000 grants of one client at most.
const flowsOfOne = 200

// usersOf is how many users' flows a load is. There are newcomers more, who are declared and do nothing yet.
func usersOf(flows int) int { return 1 + flows/flowsOfOne }

const newcomers = 2

// layout says what a site is made of.
type layout struct {
	servers, controllers int
	// serverArgs follow the site's own.
	serverArgs []string
	// serverKubeconfig is that of the servers when it is not their ServiceAccount's own, as with a proxy on the way.
	serverKubeconfig string
	// controllerArgs follow the site's own.
	controllerArgs []string
	// controllerKubeconfigs are the same for each controller; their ServiceAccount's own when there are none.
	controllerKubeconfigs []string
	// spec are further fields of the AuthorizationServer, each after a comma.
	spec string
}

// site is an issuer with everything that a flow needs, some servers of it behind one address, and controllers.
type site struct {
	t      *testing.T
	report *report
	// name is that of the AuthorizationServer, the LocalUser and the namespace, no other site's.
	name string
	// issuer is http, at the address of front.
	issuer, identifier   string
	servers, controllers []*replica
	// front is the servers' Service. reviews are asked directly.
	front   *service
	reviews *http.Client
	// client is an app's. It follows no redirect.
	client *http.Client
	// users are signed in, and have approved the app.
	users []*browser.Browser
	// grants is where grants are kept; nil for OAuthGrants.
	grants *valkey.Store
}

// newSite starts one controller and so many servers.
func newSite(t *testing.T, r *report, servers int) *site {
	t.Helper()
	return newSiteOf(t, r, layout{servers: servers, controllers: 1})
}

// newSiteOf starts a site, and returns when every server is ready and the user has approved the app.
func newSiteOf(t *testing.T, r *report, l layout) *site {
	t.Helper()
	s := &site{t: t, report: r, name: "chaos-" + strings.ToLower(rand.Text()[:8])}
	address := loopback(t)
	s.issuer, s.identifier = "http://"+address, "https://orders."+s.name+".svc"
	for i := range l.controllers {
		s.controllers = append(s.controllers, s.newController(i, l))
	}
	s.declare(l.spec)
	for i := range l.servers {
		s.servers = append(s.servers, s.newServer(i, l))
	}
	s.front = newService(t, address, s.servers, func(r *replica) string { return r.public })
	s.reviews, s.client = reviewer(t, r), &http.Client{Transport: s.transport()}
	s.isReady(s.servers...)
	s.front.isReady(t)
	for i := range usersOf(*flows) {
		s.users = append(s.users, s.newUser(s.userName(i)))
	}
	return s
}

// isReady waits until all replicas are.
func (s *site) isReady(replicas ...*replica) {
	s.t.Helper()
	for _, r := range replicas {
		eventually(s.t, r.name+" is ready", func(ctx context.Context) (bool, error) {
			if err := r.present().Failure(); err != nil {
				return false, err
			}
			return r.ready(ctx)
		})
	}
}

// started starts a replica until the test ends.
func (s *site) started(r *replica) *replica {
	s.t.Helper()
	r.log = filepath.Join(cluster.Dir, s.name+"-"+r.name+".log")
	must(s.t, r.start())
	s.t.Cleanup(func() {
		if err := r.failure(); err != nil {
			s.report.broken("%v", err)
		}
		must(s.t, r.present().Stop(stopGrace))
		if s.t.Failed() {
			s.t.Logf("the end of %s's log:\n%s", r.name, r.present().Tail())
		}
	})
	return r
}

func (s *site) newController(i int, l layout) *replica {
	s.t.Helper()
	r := &replica{name: fmt.Sprintf("controller-%d", i), health: loopback(s.t)}
	kubeconfig := identity("latchkey-controller")
	if i < len(l.controllerKubeconfigs) {
		kubeconfig = l.controllerKubeconfigs[i]
	}
	r.args = append([]string{"controller", "--kubeconfig=" + kubeconfig, "--namespace=" + operatorNamespace,
		"--health-bind-address=" + r.health, fmt.Sprintf("--leader-elect=%t", l.controllers > 1)}, l.controllerArgs...)
	return s.started(r)
}

func (s *site) newServer(i int, l layout) *replica {
	s.t.Helper()
	r := &replica{name: fmt.Sprintf("server-%d", i), public: loopback(s.t), review: loopback(s.t), health: loopback(s.t)}
	kubeconfig := l.serverKubeconfig
	if kubeconfig == "" {
		kubeconfig = identity("latchkey-server")
	}
	r.args = append([]string{"server", "--kubeconfig=" + kubeconfig, "--namespace=" + operatorNamespace,
		"--bind-address=" + loopback(s.t), "--http-bind-address=" + r.public, "--review-bind-address=" + r.review, "--health-bind-address=" + r.health,
		"--tls-cert-file=" + cluster.Review.ServerCert, "--tls-key-file=" + cluster.Review.ServerKey, "--review-client-ca-file=" + cluster.Review.ClientCA,
		// All clients of a site have one address.
		"--limit-pages=0", "--limit-public-clients=0", "--limit-unproven=0", "--limit-clients=0", "--secret-usage-delay=1s"}, l.serverArgs...)
	return s.started(r)
}

// reviewer is an HTTP client that reviews tokens as kube-apiserver does, by its client certificate.
func reviewer(t *testing.T, r *report) *http.Client {
	t.Helper()
	authority, err := os.ReadFile(cluster.Review.ServerCA)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	certificate, err := tls.LoadX509KeyPair(cluster.Review.ClientCert, cluster.Review.ClientKey)
	must(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: counting{transport, r}, Timeout: attemptTimeout}
}

// declare applies the site's objects, and waits until all of them are honoured. They go with the test.
func (s *site) declare(spec string) {
	s.t.Helper()
	s.apply(strings.NewReplacer("SPEC", spec, "NAME", s.name, "ISSUER", s.issuer, "IDENTIFIER", s.identifier, "CALLBACK", callback, "SECRET", machineSecret).Replace(`
apiVersion: v1
kind: Namespace
metadata: {name: NAME}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: AuthorizationServer
metadata: {name: NAME}
spec: {issuer: "ISSUER"SPEC}
---
# wonderland
apiVersion: v1
kind: Secret
metadata: {name: NAME-password, namespace: latchkey-system}
stringData: {password-hash: "$argon2id$v=19$m=19456,t=2,p=1$G6XxIa1P0gWKsPvS1kGlaA$SnGx29lJShcr/ei3HBZoQrBvWGx4o916hf/BUNtI10Q"}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: ResourceServer
metadata: {name: orders, namespace: NAME}
spec:
  authorizationServerNames: [NAME]
  identifier: IDENTIFIER
  displayName: Orders
  scopes: [{name: orders.read, description: See your orders}]
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: app, namespace: NAME}
spec:
  authorizationServerName: NAME
  displayName: The App
  type: Public
  redirectURIs: ["CALLBACK"]
  grantTypes: [authorization_code, refresh_token]
  scopes: [openid, offline_access]
  resources: [{namespace: NAME, name: orders, scopes: [orders.read]}]
---
apiVersion: v1
kind: Secret
metadata: {name: machine-oauth, namespace: NAME}
stringData: {client-secret: SECRET}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: machine, namespace: NAME}
spec:
  authorizationServerName: NAME
  displayName: A Machine
  type: Confidential
  grantTypes: [client_credentials]
  resources: [{namespace: NAME, name: orders, scopes: [orders.read]}]
  authentication: {clientSecret: {source: Existing, secretName: machine-oauth}}
`))
	for i := range usersOf(*flows) + newcomers {
		s.apply(strings.NewReplacer("USER", s.userName(i), "NAME", s.name).Replace(`
apiVersion: oauth.latchkey.io/v1alpha1
kind: LocalUser
metadata: {name: USER, labels: {site: NAME}}
spec: {authorizationServerNames: [NAME], displayName: A User, passwordSecretRef: {name: NAME-password}}
`))
	}
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, objects := range [][]string{{"oauthclients", "--namespace=" + s.name, "--all"}, {"authorizationserver", s.name}, {"localusers", "--selector=site=" + s.name}} {
			if _, _, err := cluster.Kubectl(ctx, append([]string{"delete", "--wait=false"}, objects...)...); err != nil {
				s.t.Error(err)
			}
		}
	})
	s.honoured("authorizationserver/" + s.name)
	s.honoured("localusers", "--selector=site="+s.name)
	s.honoured("--namespace="+s.name, "resourceserver/orders", "oauthclient/app", "oauthclient/machine")
}

func (s *site) userName(i int) string { return fmt.Sprintf("%s-%d", s.name, i) }

func (s *site) apply(manifests string) {
	s.t.Helper()
	_, _, err := cluster.KubectlInput(s.t.Context(), strings.NewReader(manifests), "apply", "--server-side", "-f", "-")
	must(s.t, err)
}

// honoured waits until objects are Ready.
func (s *site) honoured(objects ...string) {
	s.t.Helper()
	_, _, err := cluster.Kubectl(s.t.Context(), append([]string{"wait", "--for=condition=Ready", "--timeout=" + patience.String()}, objects...)...)
	must(s.t, err)
}

// attemptTimeout is how long clients wait for one answer. The server answers sooner, be it by saying that it can't.
const attemptTimeout = 30 * time.Second
