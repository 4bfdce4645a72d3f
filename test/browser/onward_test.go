package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// onward is a client whose redirect URI sends the browser on to another origin of its own.
const onward = `
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: onward, namespace: demo}
spec:
  authorizationServerName: local
  displayName: Onward
  type: Public
  redirectURIs: ["%s/callback"]
  grantTypes: [authorization_code]
  scopes: [openid]
  logout: {postLogoutRedirectURIs: ["%s/bye"]}
`

// Chromium applies the policy of the page with the form to every redirect that follows, the client's own too.
func TestTheClientMaySendTheBrowserOn(t *testing.T) {
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<p id="home">home</p>`) // else the browser is gone
	}))
	t.Cleanup(home.Close)
	callback := httptest.NewServer(http.RedirectHandler(home.URL+"/home", http.StatusFound))
	t.Cleanup(callback.Close)
	declare(t, "onward", fmt.Sprintf(onward, callback.URL, home.URL))
	for _, mode := range []string{"query", "form_post"} {
		query := url.Values{
			"response_type": {"code"}, "response_mode": {mode}, "client_id": {"demo.onward"}, "redirect_uri": {callback.URL + "/callback"},
			"scope": {"openid"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"},
		}
		b := newTab(t)
		b.do(
			chromedp.Navigate(live.LocalIssuer+"/authorize?"+query.Encode()),
			write("#username", "alice"), write("#password", "wonderland"), click("#sign-in"),
			visible("#allow"), click("#allow"), visible("#home"),
		)
	}
}
