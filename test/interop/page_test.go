package interop

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browserApplication serves the application that runs in a browser: every path is the same page. Beside it is what
// applications let the authorization server call: their keys, and where they hear of a logout.
func (a *applications) browserApplication(string) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "page/index.html") })
	mux.HandleFunc("/app.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "page/app.js") })
	mux.HandleFunc("/client.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{ // else the browser is gone
			"authority": live.Issuer, "client_id": namespace + ".spa", "scope": "openid profile email offline_access",
		})
	})
	mux.Handle("/oidc-client-ts/", http.StripPrefix("/oidc-client-ts/", http.FileServer(http.Dir("node_modules/oidc-client-ts/dist/browser"))))
	mux.HandleFunc("/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		set, err := a.keys.public()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(set) // else the server is gone
	})
	mux.HandleFunc("POST /backchannel", func(_ http.ResponseWriter, r *http.Request) { a.logouts <- r.PostFormValue("logout_token") })
	return mux, nil
}

// tab is a tab of Chromium that trusts these two servers and nobody else.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func newTab(t *testing.T) tab {
	t.Helper()
	browser, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(
		chromedp.NoSandbox, // tests may run as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Env("TMPDIR="+t.TempDir()), // it cleans up little
		chromedp.Flag("ignore-certificate-errors-spki-list", pin(certificateOf(t, apps.page.URL))+","+pin(certificateOf(t, live.Issuer))),
	))
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil { // the browser lives as long as the context of its first call
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(browser, time.Minute)
	t.Cleanup(cancel)
	return tab{t, ctx}
}

func pin(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// certificateOf is the one that a server shows to those who verify it.
func certificateOf(t *testing.T, server string) *x509.Certificate {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := tls.Dial("tcp", u.Host, direct.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }() // nothing was sent
	return connection.ConnectionState().PeerCertificates[0]
}

func (b tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.whereabouts())
	}
}

func (b tab) whereabouts() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return "the page can't be read: " + err.Error()
	}
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return fmt.Sprintf("at %s (%v):\n%s", at, err, text)
}

// press clicks one of the application's buttons.
func (b tab) press(button string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS("#" + button)))
}

// outcome is what came of the application's last action: its result, or its error.
func (b tab) outcome(into any) (failure string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS("#outcome")))
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("#outcome")))
	if err != nil {
		b.t.Fatal(err)
	}
	var read struct {
		Result json.RawMessage
		Error  string
	}
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
	if read.Error == "" {
		if err := json.Unmarshal(read.Result, into); err != nil {
			b.t.Fatalf("%s: %v", text, err)
		}
	}
	return read.Error
}

// succeeded is the outcome when it must be a result.
func succeeded[T any](b tab) (result T) {
	b.t.Helper()
	if failure := b.outcome(&result); failure != "" {
		b.t.Fatal(failure)
	}
	return result
}

// pageUser is what oidc-client-ts knows of a user who is signed in.
type pageUser struct {
	Profile      claims
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	Scope        string
}

// signIn goes from the application through the pages and back, as dora.
func (b tab) signIn() pageUser {
	b.t.Helper()
	b.do(
		chromedp.Navigate(apps.page.URL),
		chromedp.Click(chromedp.CSS("#app-sign-in")),
		chromedp.SendKeys(chromedp.CSS("#username"), "dora"),
		chromedp.SendKeys(chromedp.CSS("#password"), "wonderland"),
		chromedp.Click(chromedp.CSS("#sign-in")),
		chromedp.Click(chromedp.CSS("#allow")),
	)
	return succeeded[pageUser](b)
}

// TestOIDCClientTS is oidc-client-ts in Chromium. Metadata, keys, tokens and userinfo come from another origin than the page.
func TestOIDCClientTS(t *testing.T) {
	b := newTab(t)
	first := b.signIn()
	if first.Profile.Subject == "" || first.Profile.Name != "Dora Wells" || first.Profile.Email != "dora@example.com" {
		t.Errorf("the application knows %+v", first.Profile)
	}
	if at := b.whereabouts(); !strings.HasPrefix(at, "at "+apps.page.URL) {
		t.Error(at)
	}

	b.press("app-keys")
	if set := succeeded[struct{ Keys []struct{ Kid string } }](b); len(set.Keys) == 0 {
		t.Error("no keys")
	}

	b.press("app-refresh")
	second := succeeded[pageUser](b)
	if second.Profile.Subject != first.Profile.Subject || second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
		t.Error("the tokens are not new ones for the same user")
	}

	b.press("app-revoke")
	succeeded[struct{}](b)

	// The iframe has her session; but what she allowed an application on this machine is not remembered.
	b.press("app-silent")
	if failure := b.outcome(&second); failure != "consent_required" {
		t.Errorf("prompt=none in an iframe ends with %q", failure)
	}

	// After the library dropped its user it has no hint to give, so that she is asked.
	b.press("app-sign-out")
	b.do(chromedp.Click(chromedp.CSS("#sign-out")))
	if !succeeded[struct{ SignedOut bool }](b).SignedOut {
		t.Error("signing out does not lead back")
	}
	b.press("app-sign-in")
	b.do(chromedp.WaitVisible(chromedp.CSS("#username")))
}
