package faults

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/pages"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/kubernetes"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/test/apiproxy"
)

// replica is one server with the rights of an installed one, whose issuer is made by hand, and with the API server as it sees it.
type replica struct {
	*apiproxy.Proxy
	t   *testing.T
	url string
	iss *registry.Issuer
}

func newReplica(t *testing.T) *replica {
	t.Helper()
	proxy, err := apiproxy.Start(cluster.RESTConfig())
	must(t, err)
	config, err := proxy.RESTConfig(identity("latchkey-server"))
	must(t, err)
	scheme := runtime.NewScheme()
	must(t, v1alpha1.AddToScheme(scheme))
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	must(t, err)
	all, err := pages.New(config)
	must(t, err)
	quiet := slog.New(slog.DiscardHandler)
	kept := kubernetes.Config{Client: c, Pages: all, Namespace: operatorNamespace, Logger: quiet}
	grants, err := kubernetes.New(kept)
	must(t, err)
	devices, err := kubernetes.NewDevices(kept)
	must(t, err)
	signOuts, err := kubernetes.NewSignOuts(kept)
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var following errgroup.Group
	following.Go(func() error { return grants.Start(ctx) })
	following.Go(func() error { return signOuts.Start(ctx) })
	t.Cleanup(func() {
		cancel()
		must(t, following.Wait())
		proxy.Close()
	})
	eventually(t, "the grants and sign-outs are read", func(context.Context) (bool, error) { return grants.Synced() && signOuts.Synced(), nil })
	r := &replica{Proxy: proxy, t: t, iss: registrytest.Issuer(t, "https://login.example.com", time.Now())}
	holder := &registry.Holder{}
	holder.Store(registry.NewSnapshot([]*registry.Issuer{r.iss}))
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	must(t, err)
	handler, err := server.New(server.Config{Holder: holder, Grants: grants, Devices: devices, SignOuts: signOuts, Metrics: metrics, Logger: quiet})
	must(t, err)
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// answer is the token endpoint's.
type answer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`

	status     int
	retryAfter string
}

func (r *replica) ask(form url.Values) answer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/token", strings.NewReader(form.Encode()))
	must(r.t, err)
	request.Header.Set("Content-Type", oauth.FormMediaType)
	request.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
	response, err := http.DefaultClient.Do(request)
	must(r.t, err)
	defer func() { _ = response.Body.Close() }() // it is read to its end
	text, err := io.ReadAll(response.Body)
	must(r.t, err)
	a := answer{status: response.StatusCode, retryAfter: response.Header.Get("Retry-After")}
	if err := json.Unmarshal(text, &a); err != nil {
		r.t.Fatalf("%s: %s: %v", response.Status, text, err)
	}
	return a
}

// code is one that alice approved, and the request that redeems it.
func (r *replica) code() (id string, redeem url.Values) {
	r.t.Helper()
	now := time.Now()
	code := &token.Code{
		ID: token.NewID(), ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID, RedirectURI: registrytest.PrintShopRedirect,
		Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", // RFC 7636 appendix B
		User:      registrytest.Alice, UserUID: registrytest.AliceUID, SessionID: "sid-1", CredentialVersion: "1", AuthTime: now,
		Targets: []store.Target{{Resource: registrytest.Photos, Scopes: []string{registrytest.PhotosRead}}},
	}
	sealed, err := code.Seal(r.iss, now)
	must(r.t, err)
	return code.ID, url.Values{
		"grant_type": {"authorization_code"}, "code": {sealed}, "redirect_uri": {registrytest.PrintShopRedirect},
		"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	}
}

// grant is what is stored under the id; nil for nothing.
func (r *replica) grant(id string) *v1alpha1.OAuthGrant {
	r.t.Helper()
	var all v1alpha1.OAuthGrantList
	must(r.t, api.List(r.t.Context(), &all, client.InNamespace(operatorNamespace)))
	for i := range all.Items {
		if all.Items[i].Name == id {
			return &all.Items[i]
		}
	}
	return nil
}

func (a answer) good() bool { return a.status == http.StatusOK && a.AccessToken != "" }

// later says whether the answer is that of a server which can't tell now.
func (a answer) later() bool {
	return a.status == http.StatusServiceUnavailable && a.Error == string(oauth.TemporarilyUnavailable) && a.retryAfter != ""
}

// A code is redeemed once, whatever happens to the one write; and while nothing is written, it can be presented again.
func TestCodesWhileTheAPIServerFails(t *testing.T) {
	t.Parallel()
	create := apiproxy.To("create", "oauthgrants")
	for name, test := range map[string]struct {
		times int
		fault apiproxy.Fault
		// refused: the first answer is "later", and what is presented again is good.
		refused bool
		// creates is how many requests there are for the first answer; 0 for any number.
		creates int
	}{
		"the reply is lost":              {times: 1, fault: apiproxy.LoseReply(), creates: 1},
		"the request is lost":            {times: 1, fault: apiproxy.LoseRequest(), creates: 2},
		"one is answered 500":            {times: 1, fault: apiproxy.InternalError(), creates: 2},
		"all are answered 500":           {times: -1, fault: apiproxy.InternalError(), refused: true, creates: 2},
		"no request arrives":             {times: -1, fault: apiproxy.LoseRequest(), refused: true, creates: 2},
		"one is answered 429":            {times: 1, fault: apiproxy.TooManyRequests(), creates: 2},
		"all are answered 429":           {times: -1, fault: apiproxy.TooManyRequests(), refused: true},
		"all are answered 429, at once":  {times: -1, fault: apiproxy.Refuse(http.StatusTooManyRequests, "TooManyRequests", "shed", 0), refused: true, creates: 1},
		"the API server is slow":         {times: -1, fault: apiproxy.Delay(slow), creates: 1},
		"the API server refuses for now": {times: -1, fault: apiproxy.Refuse(http.StatusForbidden, "Forbidden", "the policy is not there yet", 0), refused: true, creates: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplica(t)
			id, redeem := r.code()
			fault := r.Inject(create, test.times, test.fault)
			first := r.ask(redeem)
			if n := len(r.Requests(create)); test.creates > 0 && n != test.creates {
				t.Errorf("%d requests to create the grant", n)
			}
			fault.Remove()
			if test.refused {
				if !first.later() || r.grant(id) != nil {
					t.Fatalf("%+v; stored: %v", first, r.grant(id))
				}
				first = r.ask(redeem)
			}
			if g := r.grant(id); !first.good() || g == nil || g.Status.RevokedAt != nil {
				t.Fatalf("%+v; stored: %v", first, g)
			}
			if again := r.ask(redeem); again.status != http.StatusBadRequest || again.Error != string(oauth.InvalidGrant) {
				t.Errorf("the code, once more: %+v", again)
			}
		})
	}
}

// When the grant was written and the server can't learn that it was its own, it says so; the code is not good a second time.
func TestCodeWhoseOutcomeStaysUnknown(t *testing.T) {
	t.Parallel()
	r := newReplica(t)
	id, redeem := r.code()
	lost := r.Inject(apiproxy.To("create", "oauthgrants"), 1, apiproxy.LoseReply())
	blind := r.Inject(apiproxy.To("get", "oauthgrants"), -1, apiproxy.InternalError())
	if a := r.ask(redeem); !a.later() || lost.Met() != 1 || blind.Met() == 0 {
		t.Errorf("%+v", a)
	}
	blind.Remove()
	if a := r.ask(redeem); a.Error != string(oauth.InvalidGrant) || r.grant(id) == nil {
		t.Errorf("presented again: %+v", a)
	}
}

// A refresh token is never lost: until its successor is handed out, it is good.
func TestRefreshTokensWhileTheAPIServerFails(t *testing.T) {
	t.Parallel()
	patch := apiproxy.To("patch", "oauthgrants/status")
	for name, test := range map[string]struct {
		times   int
		fault   apiproxy.Fault
		refused bool
	}{
		"the reply is lost":    {times: 1, fault: apiproxy.LoseReply()},
		"the request is lost":  {times: 1, fault: apiproxy.LoseRequest()},
		"a conflict":           {times: 1, fault: apiproxy.Conflict()},
		"all are answered 500": {times: -1, fault: apiproxy.InternalError(), refused: true},
		"one is answered 429":  {times: 1, fault: apiproxy.TooManyRequests()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplica(t)
			id, redeem := r.code()
			first := r.ask(redeem)
			if !first.good() || first.RefreshToken == "" {
				t.Fatalf("%+v", first)
			}
			refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}}
			fault := r.Inject(patch, test.times, test.fault)
			second := r.ask(refresh)
			fault.Remove()
			if test.refused {
				if !second.later() {
					t.Fatalf("%+v", second)
				}
				second = r.ask(refresh)
			}
			if g := r.grant(id); !second.good() || second.RefreshToken == first.RefreshToken || g.Status.Generation != 2 || g.Status.RevokedAt != nil {
				t.Errorf("%+v; stored: %+v", second, g.Status)
			}
			refresh.Set("refresh_token", second.RefreshToken)
			if third := r.ask(refresh); !third.good() {
				t.Errorf("the successor: %+v", third)
			}
		})
	}
}

// While kube-apiserver is away, who presents a code is told to come later, and then it is good.
func TestCodeWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	r := newReplica(t)
	_, redeem := r.code()
	r.Away(true)
	if a := r.ask(redeem); !a.later() {
		t.Errorf("a code: %+v", a)
	}
	r.Away(false)
	if a := r.ask(redeem); !a.good() {
		t.Errorf("the code, later: %+v", a)
	}
}
