// Package replicas holds what several replicas of the server promise together, over one kube-apiserver: each has its own memory of the
// grants, and all share one registry.
package replicas

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/pages"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/kubernetes"
	"github.com/latchkey-io/latchkey/server/token"
)

var cluster *controlplane.ControlPlane

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	options := controlplane.Options{Manifests: []string{"config/crd/bases"}, NoControllerManager: true}
	os.Exit(controlplane.Main(m, options, func(cp *controlplane.ControlPlane) error {
		cluster = cp
		return nil
	}))
}

// site is replicas of one authorization server.
type site struct {
	t         *testing.T
	client    client.WithWatch
	namespace string
	iss       *registry.Issuer
	holder    *registry.Holder
	replicas  []*replica
}

// replica is one server with its store.
type replica struct {
	*httptest.Server
	grants *kubernetes.Store
	// writes counts the requests to kube-apiserver that write.
	writes atomic.Int64
}

func newSite(t *testing.T, replicas int) *site {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.NewWithWatch(cluster.RESTConfig(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "replicas-"}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, client: c, namespace: namespace.Name, holder: &registry.Holder{}}
	s.iss = registrytest.Issuer(t, "https://login.example.com", time.Now())
	s.holder.Store(registry.NewSnapshot([]*registry.Issuer{s.iss}))
	for range replicas {
		s.replicas = append(s.replicas, s.start())
	}
	return s
}

// start starts a replica that follows the grants.
func (s *site) start() *replica {
	s.t.Helper()
	r := &replica{}
	all, err := pages.New(cluster.RESTConfig())
	if err != nil {
		s.t.Fatal(err)
	}
	config := kubernetes.Config{Client: s.client, Pages: all, Namespace: s.namespace, OnWrite: func(string) { r.writes.Add(1) }, Logger: slog.New(slog.DiscardHandler)}
	devices, err := kubernetes.NewDevices(config)
	if err != nil {
		s.t.Fatal(err)
	}
	if r.grants, err = kubernetes.New(config); err != nil {
		s.t.Fatal(err)
	}
	signOuts, err := kubernetes.NewSignOuts(config)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var following errgroup.Group
	following.Go(func() error { return r.grants.Start(ctx) })
	following.Go(func() error { return signOuts.Start(ctx) })
	s.t.Cleanup(func() {
		cancel()
		if err := following.Wait(); err != nil {
			s.t.Error(err)
		}
	})
	s.eventually("the replica has read everything", func(context.Context) (bool, error) { return r.grants.Synced() && signOuts.Synced(), nil })
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	handler, err := server.New(server.Config{Holder: s.holder, Grants: r.grants, Devices: devices, SignOuts: signOuts, Metrics: metrics, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	r.Server = httptest.NewServer(handler)
	s.t.Cleanup(r.Close)
	return r
}

func (s *site) eventually(what string, condition wait.ConditionWithContextFunc) {
	s.t.Helper()
	if err := wait.PollUntilContextTimeout(s.t.Context(), 5*time.Millisecond, time.Minute, true, condition); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// tokens are a token endpoint's answer, or its error.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`

	status int
}

// ask sends a token request as the print shop.
func (s *site) ask(r *replica, form url.Values) (answer tokens, err error) {
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, r.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return answer, err
	}
	request.Header.Set("Content-Type", oauth.FormMediaType)
	request.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
	response, err := r.Client().Do(request)
	if err != nil {
		return answer, err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer, err
	}
	answer.status = response.StatusCode
	return answer, json.Unmarshal(body, &answer)
}

func (s *site) refresh(r *replica, refreshToken string) (tokens, error) {
	return s.ask(r, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
}

// approved redeems a code that alice approved, at the first replica.
func (s *site) approved() (string, tokens) {
	s.t.Helper()
	now := time.Now()
	code := &token.Code{
		ID: token.NewID(), ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID, RedirectURI: registrytest.PrintShopRedirect,
		Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", // RFC 7636 appendix B
		User:      registrytest.Alice, UserUID: registrytest.AliceUID, SessionID: "sid-1", CredentialVersion: "1", AuthTime: now,
		Targets: []store.Target{{Resource: registrytest.Photos, Scopes: []string{registrytest.PhotosRead}}},
	}
	sealed, err := code.Seal(s.iss, now)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.ask(s.replicas[0], url.Values{
		"grant_type": {"authorization_code"}, "code": {sealed}, "redirect_uri": {registrytest.PrintShopRedirect},
		"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	})
	if err != nil || answer.status != http.StatusOK || answer.RefreshToken == "" {
		s.t.Fatalf("%+v, %v", answer, err)
	}
	return code.ID, answer
}

// object is the grant as kube-apiserver has it.
func (s *site) object(id string) *v1alpha1.OAuthGrant {
	s.t.Helper()
	o := &v1alpha1.OAuthGrant{}
	if err := s.client.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: id}, o); err != nil {
		s.t.Fatal(err)
	}
	return o
}
