package review_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/workload/workloadtest"
)

// askAs posts a TokenReview with a bearer token.
func (f *fixture) askAs(t *testing.T, bearer, raw string, audiences ...string) (authenticationv1.TokenReviewStatus, *httptest.ResponseRecorder) {
	t.Helper()
	body, err := json.Marshal(newReview(raw, audiences))
	if err != nil {
		t.Fatal(err)
	}
	w := f.post(v1Path, body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+bearer) })
	var answer authenticationv1.TokenReview
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
	}
	return answer.Status, w
}

func newCallerFixture(t *testing.T) (*fixture, *workloadtest.Wire) {
	f := newFixture(t)
	callers, w := cluster.Callers(t, f.clock)
	f.handler.Callers = callers
	return f, w
}

func TestAServiceReviewsTokensForItself(t *testing.T) {
	f, w := newCallerFixture(t)
	account := cluster.Account(t)
	cluster.Allow(t, account, "review", "photos")
	bearer, raw := cluster.Token(t, account, f.iss.URL), f.sign(t, f.access(registrytest.Photos))
	for range 3 {
		got, _ := f.askAs(t, bearer, raw, registrytest.Photos)
		if !got.Authenticated || got.User.Username != "oauth:alice" || !slices.Equal(got.Audiences, []string{registrytest.Photos}) {
			t.Fatalf("got %+v", got)
		}
	}
	if n, m := w.Requests("tokenreviews"), w.Requests("subjectaccessreviews"); n != 1 || m != 1 {
		t.Errorf("three reviews cost %d TokenReviews and %d SubjectAccessReviews", n, m)
	}
	got, _ := f.askAs(t, bearer, f.foreign(t), registrytest.Photos)
	wantNo(t, got, http.StatusOK)
	if got, _ := f.askAs(t, bearer, raw); got.Authenticated || got.Error == "" {
		t.Errorf("without audiences: %+v", got)
	}
}

// security.md: introspection or review by a party that is not the audience.
func TestReviewByAPartyThatIsNotTheAudience(t *testing.T) {
	f, _ := newCallerFixture(t)
	raw := f.sign(t, f.access(registrytest.Photos, registrytest.Orders, kubernetes))
	for name, test := range map[string]struct {
		verb  string
		names []string
		asked []string
		want  []string
	}{
		"no right at all":                   {asked: []string{registrytest.Photos}},
		"the right to read":                 {verb: "get", asked: []string{registrytest.Photos}},
		"the right for another":             {verb: "review", names: []string{"other"}, asked: []string{registrytest.Photos}},
		"the right in its namespace":        {verb: "review", asked: []string{registrytest.Orders}},
		"the right, for kube-apiserver":     {verb: "review", asked: []string{kubernetes}},
		"the right, for the issuer":         {verb: "review", asked: []string{f.iss.URL}},
		"the right for one of three":        {verb: "review", names: []string{"photos"}, asked: []string{registrytest.Orders, kubernetes, registrytest.Photos}, want: []string{registrytest.Photos}},
		"the right for all in its own name": {verb: "*", asked: []string{registrytest.Photos}, want: []string{registrytest.Photos}},
	} {
		t.Run(name, func(t *testing.T) {
			account := cluster.Account(t)
			if test.verb != "" {
				cluster.Allow(t, account, test.verb, test.names...)
			}
			got, w := f.askAs(t, cluster.Token(t, account, f.iss.URL), raw, test.asked...)
			if test.want == nil {
				wantNo(t, got, w.Code)
				return
			}
			if !got.Authenticated || !slices.Equal(got.Audiences, test.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Reviewing tokens for kube-apiserver can't be allowed: it is no ResourceServer, so not even a right to all of them counts.
func TestTheRightToReviewAllIsNotForAPIServer(t *testing.T) {
	f, _ := newCallerFixture(t)
	account := cluster.Account(t)
	cluster.AllowEverywhere(t, account)
	bearer, raw := cluster.Token(t, account, f.iss.URL), f.sign(t, f.access(registrytest.Orders, kubernetes))
	got, w := f.askAs(t, bearer, raw, kubernetes)
	wantNo(t, got, w.Code)
	if got, _ := f.askAs(t, bearer, raw, registrytest.Orders); !got.Authenticated {
		t.Errorf("for a ServiceAccount that may review all: %+v", got)
	}
}

func TestCallersThatAreNotProven(t *testing.T) {
	f, w := newCallerFixture(t)
	account := cluster.Account(t)
	cluster.Allow(t, account, "review", "photos")
	raw := f.sign(t, f.access(registrytest.Photos))
	gone := cluster.Account(t)
	cluster.Allow(t, gone, "review", "photos")
	deleted := cluster.Token(t, gone, f.iss.URL)
	cluster.Remove(t, gone)
	good := cluster.Token(t, account, f.iss.URL)
	for name, test := range map[string]struct {
		bearer string
		asks   int
	}{
		"a token for kube-apiserver":         {cluster.Token(t, account), 1},
		"a token for another service":        {cluster.Token(t, account, "https://vault.example.com"), 1},
		"a deleted ServiceAccount":           {deleted, 1},
		"a broken signature":                 {good[:len(good)-4] + "AAAA", 1},
		"an access token of ours":            {raw, 0},
		"an access token for kube-apiserver": {f.sign(t, f.access(kubernetes)), 0},
		"no JWT":                             {"opaque", 0},
		"nothing":                            {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.Requests("tokenreviews")
			_, answer := f.askAs(t, test.bearer, raw, registrytest.Photos)
			var status metav1.Status
			if err := json.Unmarshal(answer.Body.Bytes(), &status); err != nil {
				t.Fatal(err)
			}
			if answer.Code != http.StatusUnauthorized || status.Reason != metav1.StatusReasonUnauthorized {
				t.Errorf("HTTP %d %+v", answer.Code, status)
			}
			if asked := w.Requests("tokenreviews") - before; asked != test.asks {
				t.Errorf("kube-apiserver was asked %d times, want %d", asked, test.asks)
			}
		})
	}
	for name, header := range map[string][]string{
		"two headers": {"Bearer " + good, "Bearer " + good}, "Basic": {"Basic " + good}, "no scheme": {good},
	} {
		t.Run(name, func(t *testing.T) {
			if w := f.post(v1Path, nil, func(r *http.Request) { r.Header["Authorization"] = header }); w.Code != http.StatusUnauthorized {
				t.Errorf("HTTP %d", w.Code)
			}
		})
	}
}

// A certificate that was verified when the connection began counts for as long as who signed it is trusted, request by request.
func TestCertificateCountsForAsLongAsItIsProven(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access(kubernetes))
	var trusted bool
	var asked []*tls.ConnectionState
	f.handler.Proven = func(state *tls.ConnectionState) bool { asked = append(asked, state); return trusted }
	if got, code := f.ask(t, raw); code != http.StatusUnauthorized || got.Authenticated {
		t.Errorf("not trusted any more: HTTP %d %+v", code, got)
	}
	trusted = true
	if got, code := f.ask(t, raw); code != http.StatusOK || !got.Authenticated {
		t.Errorf("trusted: HTTP %d %+v", code, got)
	}
	trusted = false
	if _, code := f.ask(t, raw); code != http.StatusUnauthorized {
		t.Errorf("on the same connection, not trusted any more: HTTP %d", code)
	}
	if len(asked) != 3 || len(asked[0].VerifiedChains) == 0 {
		t.Errorf("asked about %v", asked)
	}
	// Trust in a certificate is none in a connection without.
	trusted = true
	for name, state := range map[string]*tls.ConnectionState{"without a certificate": {}, "with one that was not verified": {PeerCertificates: []*x509.Certificate{{}}}, "in plain text": nil} {
		if w := f.post(v1Path, nil, func(r *http.Request) { r.TLS = state }); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: HTTP %d", name, w.Code)
		}
	}
	if len(asked) != 3 {
		t.Error("asked about a connection without a verified certificate")
	}
}

// With no issuer there is no audience to ask for, and kube-apiserver would take none for its own.
func TestNoIssuersMeansNoCallers(t *testing.T) {
	f, w := newCallerFixture(t)
	account := cluster.Account(t)
	f.publish()
	if _, answer := f.askAs(t, cluster.Token(t, account), "x", registrytest.Photos); answer.Code != http.StatusUnauthorized {
		t.Errorf("HTTP %d", answer.Code)
	}
	if n := w.Requests("tokenreviews"); n != 0 {
		t.Errorf("kube-apiserver was asked %d times", n)
	}
}

// What is remembered of a caller is held against the issuers there are now.
func TestACallerForAnIssuerThatIsGone(t *testing.T) {
	f, _ := newCallerFixture(t)
	bearer := cluster.Token(t, cluster.Account(t), f.iss.URL)
	if _, answer := f.askAs(t, bearer, "x", registrytest.Photos); answer.Code != http.StatusOK {
		t.Fatalf("HTTP %d", answer.Code)
	}
	f.publish(registrytest.Issuer(t, "https://other.example.com", f.now))
	if _, answer := f.askAs(t, bearer, "x", registrytest.Photos); answer.Code != http.StatusUnauthorized {
		t.Errorf("HTTP %d", answer.Code)
	}
}

func TestAnswersAboutCallersAreKeptForSeconds(t *testing.T) {
	f, _ := newCallerFixture(t)
	account := cluster.Account(t)
	bearer, raw := cluster.Token(t, account, f.iss.URL), f.sign(t, f.access(registrytest.Photos))
	got, _ := f.askAs(t, bearer, raw, registrytest.Photos)
	wantNo(t, got, http.StatusOK)
	cluster.Allow(t, account, "review", "photos")
	got, _ = f.askAs(t, bearer, raw, registrytest.Photos)
	wantNo(t, got, http.StatusOK)
	f.now = f.now.Add(3 * time.Second)
	if got, _ = f.askAs(t, bearer, raw, registrytest.Photos); !got.Authenticated {
		t.Error("a right that was given 3 s ago does not count yet")
	}
	cluster.Remove(t, account)
	// kube-apiserver keeps what it found out about a token for 10 s as well.
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		f.now = f.now.Add(11 * time.Second)
		_, answer := f.askAs(t, bearer, raw, registrytest.Photos)
		return answer.Code == http.StatusUnauthorized, nil
	})
	if err != nil {
		t.Errorf("a deleted ServiceAccount is still a caller: %v", err)
	}
}

func TestAnAPIServerThatIsAwayIsNoNo(t *testing.T) {
	cp, err := controlplane.Start(t.Context(), controlplane.Options{NoControllerManager: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	alone, err := workloadtest.New(cp)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.handler.Callers, _ = alone.Callers(t, f.clock)
	bearer, _, err := cp.ServiceAccountToken(t.Context(), workloadtest.OperatorNamespace, workloadtest.ServerAccount, []string{f.iss.URL}, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	_, answer := f.askAs(t, bearer, f.sign(t, f.access(registrytest.Photos)), registrytest.Photos)
	if answer.Code != http.StatusInternalServerError {
		t.Errorf("HTTP %d", answer.Code)
	}
	if strings.Contains(answer.Body.String(), "refused") || strings.Contains(f.log.String(), bearer) {
		t.Errorf("told %s, logged %s", answer.Body, f.log)
	}
}
