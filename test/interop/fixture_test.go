package interop

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	namespace = "interop"
	resource  = "https://orders.interop.svc"
	// portal is the application that is not on this machine.
	portal = "https://portal.example"
)

// client is an OAuthClient as its application knows it. Scripts read it as JSON.
type client struct {
	Issuer      string  `json:"issuer"`
	ID          string  `json:"clientId"`
	Secret      string  `json:"clientSecret,omitempty"`
	RedirectURI string  `json:"redirectUri"`
	SignedOut   string  `json:"signedOutUri"`
	Resource    string  `json:"resource"`
	Keys        keyring `json:"keys,omitempty"`
	// API is the API's own client, which may introspect.
	API *client `json:"api,omitempty"`
}

// applications is where applications listen, until the tests end: on a server, in the browser, and as an MCP server. The
// first of them tells a browser, in JSON, how it arrived.
type applications struct {
	*httptest.Server
	page, mcp *httptest.Server
	keys      keyring
	logouts   chan string // logout tokens
}

// arrival is a browser that was sent to an application, and what it was asked on the way.
type arrival struct {
	URL    string   `json:"url"`
	Method string   `json:"method"`
	Body   string   `json:"body,omitempty"`
	Asked  []string `json:"asked"`
}

// declare starts the applications, applies clients.yaml and waits until all is accepted.
func declare(ctx context.Context) (a *applications, err error) {
	a = &applications{logouts: make(chan string, 8)}
	if a.keys, err = newKeyring(); err != nil {
		return nil, err
	}
	certificate, err := certify(ctx)
	if err != nil {
		return nil, err
	}
	a.Server = httptest.NewServer(http.HandlerFunc(a.arrive))
	if a.page, err = listen(certificate, a.browserApplication); err != nil {
		return nil, err
	}
	if a.mcp, err = listen(certificate, mcpServer); err != nil {
		return nil, err
	}
	manifests, err := os.ReadFile("clients.yaml")
	if err != nil {
		return nil, err
	}
	set, err := a.keys.public()
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("APPLICATION", a.URL, "PAGE", a.page.URL, "MCP", a.mcp.URL, "ISSUER", live.Issuer, "'JWKS'", "'"+string(set)+"'").
		Replace(string(manifests))
	if _, err := live.Kubectl(ctx, text, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return nil, err
	}
	for _, kinds := range [][]string{{"wait", "authorizationservers,localusers"}, {"wait", "resourceservers,oauthclients", "--namespace=" + namespace}} {
		if _, err := live.Kubectl(ctx, "", append(kinds, "--for=condition=Ready", "--timeout=30s", "--all")...); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// listen serves https at localhost with that certificate.
func listen(certificate tls.Certificate, handler func(address string) (http.Handler, error)) (*httptest.Server, error) {
	server := httptest.NewUnstartedServer(nil)
	address := fmt.Sprintf("https://localhost:%d", server.Listener.Addr().(*net.TCPAddr).Port)
	h, err := handler(address)
	if err != nil {
		return nil, err
	}
	server.Config.Handler = h
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	server.URL = address
	return server, nil
}

func (a *applications) arrive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(arrival{URL: a.URL + r.URL.RequestURI(), Method: r.Method, Body: string(body)}) // else the browser is gone
}

// find is a declared client, once the server knows it.
func find(t *testing.T, name string) client {
	t.Helper()
	c, err := read(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	err = wait.PollUntilContextTimeout(t.Context(), pollInterval, patience, true, func(ctx context.Context) (known bool, err error) {
		last, err = c.proves(ctx)
		return last != "invalid_client", err
	})
	if err != nil {
		t.Fatalf("%s is answered with %q: %v", c.ID, last, err)
	}
	return c
}

// read is what the application has been told.
func read(ctx context.Context, name string) (client, error) {
	c := client{
		Issuer: live.Issuer, ID: namespace + "." + name, Resource: resource,
		RedirectURI: apps.URL + "/callback", SignedOut: apps.URL + "/signed-out",
	}
	if name == "portal" {
		c.RedirectURI, c.SignedOut = portal+"/callback", portal+"/signed-out"
	}
	if name == "signer" || name == "publisher" {
		c.Keys = apps.keys
	}
	if strings.HasSuffix(name, "-shop") {
		c.Issuer += "/shop"
	}
	secrets, err := core.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name + "-oauth"})
	if err != nil {
		return c, err
	}
	for _, s := range secrets.Items {
		c.Secret = string(s.Data["client-secret"])
		if id, issuer := string(s.Data["client-id"]), string(s.Data["issuer"]); id != c.ID || issuer != c.Issuer {
			return c, fmt.Errorf("Secret %s says client-id %q, issuer %q", s.Name, id, issuer)
		}
	}
	return c, nil
}

// proves asks the token endpoint for nothing that exists, and returns the error.
func (c client) proves(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"none"}}
	switch {
	case c.Keys != nil:
		assertion, err := c.Keys.assertion(c.ID, c.Issuer)
		if err != nil {
			return "", err
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	case c.Secret == "":
		form.Set("client_id", c.ID)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.Secret != "" {
		request.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	}
	response, err := direct.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	var answer struct {
		Error string `json:"error"`
	}
	return answer.Error, json.NewDecoder(response.Body).Decode(&answer)
}
