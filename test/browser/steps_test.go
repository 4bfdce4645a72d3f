package browser

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// signIn goes from the client's first page to the consent page, as alice.
func signIn(shots string) step {
	return chromedp.Steps(
		chromedp.Navigate(live.PrintShop),
		visible("#print-photos"),
		screenshot(shots+"-1-client"),
		click("#print-photos"),
		visible("#sign-in"),
		screenshot(shots+"-2-sign-in"),
		write("#username", "alice"),
		write("#password", "wonderland"),
		click("#sign-in"),
		visible("#allow"),
		screenshot(shots+"-3-consent"),
	)
}

// pictures is whether each picture of the grid has been delivered, once all have been tried.
const pictures = `(images => images.length > 0 && images.every(i => i.complete) && images.map(i => i.naturalWidth > 100))([...document.querySelectorAll("#photo-grid img")])`

func TestAllowingDeliversThePhotos(t *testing.T) {
	b := newTab(t)
	b.do(signIn("allow"))
	consent := strings.ToLower(ask(b, text("main")))
	for _, words := range []string{"print shop", "see your photos", "alice"} {
		if !strings.Contains(consent, words) {
			t.Errorf("the consent page does not say %q:\n%s", words, consent)
		}
	}
	b.do(click("#allow"), visible("#photo-grid"))
	loaded := ask(b, chromedp.Poll[[]bool](pictures))
	if len(loaded) == 0 || slices.Contains(loaded, false) {
		t.Errorf("pictures that were delivered: %v", loaded)
	}
	b.do(screenshot("allow-4-photos"))
	if user := ask(b, text("#signed-in-as")); !strings.Contains(user, "Alice") {
		t.Errorf("signed in as %q", user)
	}
	if at := ask(b, chromedp.Location()); strings.Contains(at, "code=") {
		t.Errorf("the code stays in the address bar: %s", at)
	}
}

func TestDenyingComesBackWithAccessDenied(t *testing.T) {
	b := newTab(t)
	b.do(signIn("deny"), click("#deny"), visible("#error-code"), screenshot("deny-4-client"))
	if code := strings.TrimSpace(ask(b, text("#error-code"))); code != "access_denied" {
		t.Errorf("error code %q", code)
	}
	if at := ask(b, chromedp.Location()); !strings.HasPrefix(at, live.PrintShop) {
		t.Errorf("ended at %s", at)
	}
}

func TestWrongPasswordStaysOnThePage(t *testing.T) {
	b := newTab(t)
	b.do(
		chromedp.Navigate(live.PrintShop),
		click("#print-photos"),
		visible("#sign-in"),
		onPhone(),
		screenshot("phone-1-sign-in"),
		write("#username", "alice"),
		write("#password", "looking-glass"),
		click("#sign-in"),
		visible(`[role="alert"]`),
		screenshot("phone-2-wrong-password"),
	)
	if problem := ask(b, text(`[role="alert"]`)); !strings.Contains(problem, "not right") {
		t.Errorf("the page says %q", problem)
	}
	b.do(write("#password", "wonderland"), click("#sign-in"), visible("#allow"), screenshot("phone-3-consent"))
}

func TestUnknownRedirectURIIsAPageOfOurOwn(t *testing.T) {
	b := newTab(t)
	query := url.Values{
		"response_type": {"code"}, "client_id": {"demo.print-shop"}, "redirect_uri": {"https://evil.example/"}, "scope": {"openid"},
		"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"},
	}
	b.do(
		chromedp.Navigate(live.LocalIssuer+"/authorize?"+query.Encode()),
		visible("#error-code"),
		screenshot("error-redirect-uri"),
	)
	code, at := strings.TrimSpace(ask(b, text("#error-code"))), ask(b, chromedp.Location())
	if code != "invalid_request" || !strings.HasPrefix(at, live.LocalIssuer) {
		t.Errorf("%q at %s", code, at)
	}
}
