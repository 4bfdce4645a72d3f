package introspect_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// security.md: two client authentication methods; a caller that is not proven.
func TestCallersOfIntrospectionThatAreNotProven(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(f.access())
	account := cluster.Account(t)
	cluster.Allow(t, account, "review", "photos")
	good := cluster.Token(t, account, f.URL)
	refused := map[string]struct {
		caller    as
		form      url.Values
		status    int
		code      string
		challenge string
	}{
		"nobody":                                 {asNobody, nil, 401, "invalid_client", ""},
		"a client with a wrong secret":           {asClient(registrytest.Nightly, "wrong"), nil, 401, "invalid_client", "Basic "},
		"a client that is not known":             {asClient("demo.gone", "secret"), nil, 401, "invalid_client", "Basic "},
		"a public client, though declared":       {asNobody, url.Values{"client_id": {registrytest.Native}}, 401, "invalid_client", ""},
		"a confidential client without secret":   {asNobody, url.Values{"client_id": {registrytest.Nightly}}, 401, "invalid_client", ""},
		"two methods of a client":                {nightly(), url.Values{"client_id": {registrytest.Nightly}, "client_secret": {registrytest.NightlySecret}}, 400, "invalid_request", ""},
		"a bearer and a secret":                  {asBearer(good), url.Values{"client_id": {registrytest.Nightly}, "client_secret": {registrytest.NightlySecret}}, 400, "invalid_request", ""},
		"two Authorization headers":              {func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + good} }, nil, 400, "invalid_request", ""},
		"the access token itself":                {asBearer(raw), nil, 401, "invalid_token", "Bearer "},
		"a ServiceAccount's for kube-apiserver":  {asBearer(cluster.Token(t, account)), nil, 401, "invalid_token", "Bearer "},
		"a ServiceAccount's for another service": {asBearer(cluster.Token(t, account, "https://other.example.com")), nil, 401, "invalid_token", "Bearer "},
		"a ServiceAccount's, with a wrong end":   {asBearer(good[:len(good)-4] + "AAAA"), nil, 401, "invalid_token", "Bearer "},
		"no JWT":                                 {asBearer("opaque"), nil, 401, "invalid_token", "Bearer "},
	}
	for name, test := range refused {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"token": {raw}}
			for k, v := range test.form {
				form[k] = v
			}
			got := f.post(test.caller, form)
			wantError(t, got, test.status, test.code)
			// RFC 6749 section 5.2: who used the Authorization header is challenged for it.
			if challenge := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, test.challenge) || (challenge == "") != (test.challenge == "") {
				t.Errorf("challenged with %q", challenge)
			}
		})
	}
	wantActive(t, f.ask(asBearer(good), raw))
	if log := f.Log.String(); strings.Contains(log, raw) || strings.Contains(log, good) || strings.Contains(log, registrytest.NightlySecret) {
		t.Error("the log holds a credential")
	}
	if n := strings.Count(f.Log.String(), `"event":"introspection_refused"`); n != len(refused) {
		t.Errorf("%d of %d refusals are in the audit", n, len(refused))
	}
}

func TestWithoutAClusterNoServiceAccountIsACaller(t *testing.T) {
	f := newFixture(t, func(c *server.Config) { c.Callers = nil })
	raw := f.sign(f.access())
	wantError(t, f.ask(f.service(), raw), http.StatusUnauthorized, "invalid_token")
	wantActive(t, f.ask(nightly(), raw))
}

func TestRightsOfCallersAreAskedOnce(t *testing.T) {
	f := newFixture(t)
	service, raw := f.service(), f.sign(f.access())
	for range 5 {
		wantActive(t, f.ask(service, raw))
	}
	if n, m := f.wire.Requests("tokenreviews"), f.wire.Requests("subjectaccessreviews"); n != 1 || m != 1 {
		t.Errorf("five introspections cost %d TokenReviews and %d SubjectAccessReviews", n, m)
	}
}
