package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// leaving is a client that users leave, and that wants to hear of it.
const leaving = `
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: leaving, namespace: demo}
spec:
  authorizationServerName: local
  displayName: Leaving
  type: Public
  redirectURIs: ["%[1]s/callback"]
  grantTypes: [authorization_code]
  scopes: [openid]
  logout:
    postLogoutRedirectURIs: ["%[1]s/bye"]
`

// serveLeaving is the client's own web server.
func serveLeaving(t *testing.T) (address string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/callback", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `<p id="arrived">here</p>`) // else the browser is gone
	})
	mux.HandleFunc("/bye", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `<p id="left">%s</p>`, r.URL.Query().Get("state"))
	})
	// Another site's form, which can't bring the session's cookie along.
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<form method="post" action="%s/logout"><input type="hidden" name="client_id" value="demo.leaving"><input type="hidden" name="post_logout_redirect_uri" value="http://%s/bye">
<input type="hidden" name="state" value="posted"><button id="leave">Leave</button></form>`, live.LocalIssuer, r.Host)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// The user is asked, stays, then leaves by a form of the client's, is led back there, and is signed out.
func TestSigningOut(t *testing.T) {
	address := serveLeaving(t)
	if _, err := live.Kubectl(t.Context(), fmt.Sprintf(leaving, address), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := live.Kubectl(context.WithoutCancel(t.Context()), "", "delete", "oauthclient", "leaving", "--namespace=demo"); err != nil {
			t.Error(err)
		}
	})
	if _, err := live.Kubectl(t.Context(), "", "wait", "oauthclient/leaving", "--namespace=demo", "--for=condition=Ready", "--timeout=30s"); err != nil {
		t.Fatal(err)
	}
	signIn := url.Values{
		"response_type": {"code"}, "client_id": {"demo.leaving"}, "redirect_uri": {address + "/callback"}, "scope": {"openid"},
		"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"},
	}
	b := newTab(t)
	b.do(
		chromedp.Navigate(live.LocalIssuer+"/authorize?"+signIn.Encode()),
		write("#username", "alice"), write("#password", "wonderland"), click("#sign-in"),
		visible("#allow"), click("#allow"), visible("#arrived"),
		chromedp.Navigate(live.LocalIssuer+"/logout"), visible("#sign-out"), screenshot("sign-out"),
		click("#stay"), visible("#signed-in"),
		chromedp.Navigate(address+"/"), click("#leave"),
		visible("#client-name"), screenshot("sign-out-asked"), click("#sign-out"), visible("#left"),
	)
	if state := ask(b, text("#left")); state != "posted" {
		t.Errorf("led back with state %q", state)
	}
	b.do(chromedp.Navigate(live.LocalIssuer+"/logout"), visible("#signed-out"), screenshot("signed-out"))
	b.do(chromedp.Navigate(live.LocalIssuer+"/authorize?"+signIn.Encode()), visible("#password"))
}
