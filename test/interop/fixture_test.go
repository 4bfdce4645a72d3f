package interop

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	namespace = "interop"
	resource  = "https://orders.interop.svc"
)

// client is an OAuthClient as its application knows it. Scripts read it as JSON.
type client struct {
	Issuer      string `json:"issuer"`
	ID          string `json:"clientId"`
	Secret      string `json:"clientSecret,omitempty"`
	RedirectURI string `json:"redirectUri,omitempty"`
	Resource    string `json:"resource"`
}

// applications is where applications listen, until the tests end. It tells a browser, in JSON, how it arrived; page is the
// one that runs in the browser.
type applications struct {
	*httptest.Server
	page, mcp *httptest.Server
	// ca is a file with all certificates that clients need.
	ca string
}

// arrival is a browser that was sent to an application.
type arrival struct {
	URL    string `json:"url"`
	Method string `json:"method"`
	Body   string `json:"body,omitempty"`
}

// declare applies clients.yaml and waits until the server knows everyone.
func declare(ctx context.Context) (*applications, error) {
	a := &applications{page: servePage()}
	a.Server = httptest.NewServer(http.HandlerFunc(a.arrive))
	var err error
	if a.mcp, err = serveMCP(ctx); err != nil {
		return nil, err
	}
	if err := a.trust(); err != nil {
		return nil, err
	}
	manifests, err := os.ReadFile("clients.yaml")
	if err != nil {
		return a, err
	}
	text := strings.NewReplacer("APPLICATION", a.URL, "PAGE", a.page.URL, "MCP", a.mcp.URL, "ISSUER", live.Issuer).Replace(string(manifests))
	if _, err := live.Kubectl(ctx, text, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return a, err
	}
	_, err = live.Kubectl(ctx, "", "wait", "-n", namespace, "--for=condition=Ready", "--timeout=30s", "resourceservers,oauthclients", "--all")
	return a, err
}

// trust makes the certificate of the MCP server known to clients beside the environment's CA.
func (a *applications) trust() error {
	authority, err := os.ReadFile(live.CA)
	if err != nil {
		return err
	}
	own := a.mcp.Certificate()
	direct.Transport.(*http.Transport).TLSClientConfig.RootCAs.AddCert(own)
	a.ca = filepath.Join(filepath.Dir(live.CA), "interop.crt") // it goes with the environment
	return os.WriteFile(a.ca, append(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Raw})...), 0o644)
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

// named is a declared client, once the server knows it.
func named(ctx context.Context, name string) (client, error) {
	c := client{Issuer: live.Issuer, ID: namespace + "." + name, RedirectURI: apps.URL + "/callback", Resource: resource}
	secret, err := core.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name + "-oauth"})
	if err != nil {
		return c, err
	}
	for _, s := range secret.Items {
		c.Secret = string(s.Data["client-secret"])
		if id := string(s.Data["client-id"]); id != c.ID {
			return c, fmt.Errorf("Secret %s says client-id %q", s.Name, id)
		}
	}
	last := ""
	err = wait.PollUntilContextTimeout(ctx, pollInterval, patience, true, func(ctx context.Context) (known bool, err error) {
		last, err = c.proves(ctx)
		return last != "invalid_client", err
	})
	if err != nil {
		return c, fmt.Errorf("%s is answered with %q: %w", c.ID, last, err)
	}
	return c, nil
}

// proves asks the token endpoint for nothing that exists, and returns the error.
func (c client) proves(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"none"}}
	if c.Secret == "" {
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
