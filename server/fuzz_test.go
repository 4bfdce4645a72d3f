package server_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/store/memory"
)

// fuzzHandler is the whole server without a network, at https://login.example and https://login.example/team.
func fuzzHandler(f *testing.F) (http.Handler, *registry.Holder, *servertest.Log) {
	f.Helper()
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		f.Fatal(err)
	}
	holder, log := &registry.Holder{}, &servertest.Log{}
	holder.Store(registry.NewSnapshot([]*registry.Issuer{
		registrytest.Issuer(f, "https://login.example", time.Now()), registrytest.Issuer(f, "https://login.example/team", time.Now()),
	}))
	handler, err := server.New(server.Config{
		Holder: holder, Grants: memory.New(time.Now), Devices: memory.NewDevices(time.Now), SignOuts: memory.NewSignOuts(time.Now), Metrics: metrics,
		Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		f.Fatal(err)
	}
	return handler, holder, log
}

// FuzzAuthorize: no parameters make the server fail, and none lead the browser elsewhere than to a registered redirect URI or
// our own pages.
func FuzzAuthorize(f *testing.F) {
	handler, holder, log := fuzzHandler(f)
	iss, _ := holder.Load().ByURL("https://login.example")
	for _, v := range []url.Values{
		request(), request("client_id", registrytest.Native, "redirect_uri", "http://127.0.0.1:1234/callback"), request("prompt", "none"),
		request("max_age", "0"), request("resource", registrytest.Photos), request("state", "a&b=c#d\r\n<é"), request("redirect_uri", "//evil.example"),
		request("scope", "openid"), request("response_type", "token"), {"interaction": {"x"}},
		request("response_mode", "form_post", "prompt", "none", "state", `"'><script>alert(1)</script>`), request("response_mode", "form_post", "claims", "{"),
		request("claims", `{"userinfo":{"name":{"essential":true}},"id_token":{"acr":{"values":["0"]},"sub":{"value":"x"}}}`),
		request("id_token_hint", "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IngifQ.e30.eA"), request("registration", "{}"), request("response_mode", "fragment"),
		request("request", "e30.eyJyZXNwb25zZV9tb2RlIjoiZm9ybV9wb3N0Iiwic3RhdGUiOiJ4In0."), request("prompt", "login", "max_age", "1", "login_hint", "<é>"),
	} {
		f.Add(v.Encode())
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "https://login.example/authorize", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		location := w.Header().Get("Location")
		if w.Code >= http.StatusInternalServerError || strings.ContainsAny(location, "\r\n") {
			t.Fatalf("%d %q %s", w.Code, location, log)
		}
		posts := strings.Contains(w.Body.String(), `id="form-post"`)
		if (location == "" && !posts) || strings.HasPrefix(location, "https://login.example/login?interaction=") {
			return
		}
		params, err := url.ParseQuery(query)
		if err != nil || !posts && !strings.HasPrefix(location, params.Get("redirect_uri")+"?") {
			t.Fatalf("%q leads to %q", query, location)
		}
		if body := w.Body.String(); posts && (strings.Count(body, "<form ") != 1 || strings.Count(body, "<script ") != 1 || strings.Count(body, "<input ") > 4) {
			t.Fatalf("%q makes %s", query, body)
		}
		c, ok := iss.Client(params.Get("client_id"))
		registered := false
		for i := 0; ok && i < len(c.RedirectURIs); i++ {
			registered = registered || c.RedirectURIs[i].Matches(params.Get("redirect_uri"))
		}
		if !registered {
			t.Fatalf("%q leads to %q", query, location)
		}
	})
}

// FuzzAddress: no method, path, host or credential makes the server fail.
func FuzzAddress(f *testing.F) {
	handler, _, log := fuzzHandler(f)
	for _, path := range []string{"/authorize", "/team/login", "/consent", "/token", "/userinfo", "/jwks", "/.well-known/openid-configuration/team",
		"/team/.well-known/oauth-authorization-server", "/assets/x", "//token", "/team/../token", "/team%2ftoken", "*", "", "/assets/assets/"} {
		f.Add(http.MethodGet, path, "login.example", "", "")
		f.Add(http.MethodPost, path, "evil.example", "Bearer a.b.c", "grant_type=authorization_code&code=x&client_id=demo.native")
		f.Add(http.MethodHead, path, "", "Basic eDp5", "interaction=x")
	}
	f.Fuzz(func(t *testing.T, method, path, host, authorization, body string) {
		r := httptest.NewRequest(http.MethodGet, "https://login.example/", strings.NewReader(body))
		r.Method, r.Host, r.URL.Path, r.URL.RawQuery = method, host, path, ""
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError || w.Code == http.StatusOK && strings.HasSuffix(path, "/token") {
			t.Fatalf("%d %s", w.Code, log)
		}
	})
}
