package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// application is a client that wants its answers posted.
const application = `
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: form-post, namespace: demo}
spec:
  authorizationServerName: local
  displayName: Form post
  type: Public
  redirectURIs: ["%s/callback"]
  grantTypes: [authorization_code]
  scopes: [openid]
`

// serveApplication is the client's own web server: it shows by which method it was called, and hands on what it was told.
func serveApplication(t *testing.T) (address string, told <-chan url.Values) {
	t.Helper()
	answers := make(chan url.Values, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" {
			http.Error(w, "not a form", http.StatusBadRequest)
			return
		}
		answers <- r.PostForm
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<p id="arrived">%s</p>`, r.Method) // else the browser is gone
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, answers
}

// declare applies the client of that name in namespace demo until the test ends, and waits until it is honoured.
func declare(t *testing.T, name, manifest string) {
	t.Helper()
	if _, err := live.Kubectl(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := live.Kubectl(context.WithoutCancel(t.Context()), "", "delete", "oauthclient", name, "--namespace=demo"); err != nil {
			t.Error(err)
		}
	})
	if _, err := live.Kubectl(t.Context(), "", "wait", "oauthclient/"+name, "--namespace=demo", "--for=condition=Ready", "--timeout=30s"); err != nil {
		t.Fatal(err)
	}
}

func allowScripts(yes bool) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !yes})
		return err
	})
}

// The answer arrives by POST: by itself where there is JavaScript, else at the press of the button.
func TestFormPostWithAndWithoutJavaScript(t *testing.T) {
	address, told := serveApplication(t)
	declare(t, "form-post", fmt.Sprintf(application, address))
	const state = `"'><script>document.title="taken over"</script>`
	query := url.Values{
		"response_type": {"code"}, "response_mode": {"form_post"}, "client_id": {"demo.form-post"}, "redirect_uri": {address + "/callback"}, "scope": {"openid"},
		"state": {state}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"},
	}
	b := newTab(t)
	b.do(
		chromedp.Navigate(live.LocalIssuer+"/authorize?"+query.Encode()),
		write("#username", "alice"), write("#password", "wonderland"), click("#sign-in"),
		visible("#allow"), click("#allow"), visible("#arrived"),
	)
	arrived(t, told, state)
	b.do(
		allowScripts(false),
		chromedp.Navigate(live.LocalIssuer+"/authorize?"+query.Encode()),
		visible("#allow"), click("#allow"), visible("#continue"), screenshot("form-post"), click("#continue"), visible("#arrived"),
	)
	arrived(t, told, state)
}

func arrived(t *testing.T, told <-chan url.Values, state string) {
	t.Helper()
	answer := <-told // the page that says so is there
	if len(answer) != 3 || answer.Get("code") == "" || answer.Get("state") != state || answer.Get("iss") != live.LocalIssuer {
		t.Errorf("told %v", answer)
	}
}
