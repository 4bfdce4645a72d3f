package tour

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg" // the format of the photos
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// alice is the sample user, before the consent page.
func alice(button string, onConsent func(*browser.Page) error) person {
	return person{username: "alice", password: "wonderland", button: button, onConsent: onConsent}
}

// steps walks all seven, with alice saying yes.
func (t *tour) steps(ctx context.Context) error {
	request, err := t.ask(ctx)
	if err != nil {
		return err
	}
	back, err := t.decide(ctx, request, "allow")
	if err != nil {
		return err
	}
	if err := t.comeBack(request, back); err != nil {
		return err
	}
	album, err := t.exchange(ctx, back)
	if err != nil {
		return err
	}
	if err := t.issued(album); err != nil {
		return err
	}
	if err := t.called(ctx, album); err != nil {
		return err
	}
	return t.delivered(ctx, album)
}

// ask is step 1.
func (t *tour) ask(ctx context.Context) (*url.URL, error) {
	t.begin(1, "The print-shop sends the browser to the authorization server")
	return t.request(ctx)
}

// request clicks through the print-shop until it sends the browser away.
func (t *tour) request(ctx context.Context) (*url.URL, error) {
	front, err := t.browser.Get(ctx, t.PrintShop+"/")
	if err != nil {
		return nil, err
	}
	t.saw("%q at %s", front.Title(), front.URL)
	link := front.ID("print-photos-write")
	if link == nil {
		return nil, t.expect(false, "the page has a link to begin with")
	}
	login, err := front.Resolve(link.Attribute("href"))
	if err != nil {
		return nil, err
	}
	t.saw("follows %q", link.Text())
	away, err := t.browser.Get(ctx, login.String())
	if err != nil {
		return nil, err
	}
	if away.Next == nil {
		return nil, t.expect(false, "it redirects (HTTP %d: %s)", away.Status, away.Text())
	}
	t.saw("HTTP %d to %s", away.Status, brief(away.Next))
	return away.Next, t.checkRequest(away.Next)
}

func (t *tour) checkRequest(request *url.URL) error {
	query := request.Query()
	if err := t.expect(strings.HasPrefix(request.String(), t.Issuer+"/") && query.Get("response_type") == "code" && query.Get("redirect_uri") == t.callback(),
		"an authorization request to %s, to come back to %s", t.Issuer, t.callback()); err != nil {
		return err
	}
	if err := t.expect(query.Get("code_challenge_method") == "S256" && len(query.Get("code_challenge")) == 43 && query.Get("state") != "" && query.Get("nonce") != "",
		"it carries a PKCE challenge (S256), state and nonce"); err != nil {
		return err
	}
	scopes := strings.Fields(query.Get("scope"))
	return t.expect(query.Get("resource") == photosAPI && slices.Contains(scopes, "photos.read") && slices.Contains(scopes, "photos.write"),
		"it asks for photos scopes at %s", photosAPI)
}

// decide is step 2.
func (t *tour) decide(ctx context.Context, request *url.URL, button string) (*url.URL, error) {
	t.begin(2, "The user signs in, and approves what the client asks for")
	return t.answer(ctx, request, t.callback(), alice(button, t.checkConsent))
}

// checkConsent looks for what the samples declare.
func (t *tour) checkConsent(page *browser.Page) error {
	t.saw("%q at %s", page.Title(), withoutQuery(page.URL))
	text := page.Text()
	for _, words := range [][2]string{
		{"the client", "Print Shop"},
		{"the resource server", "Photo Library"},
		{"photos.read in its declared words", "See your photos and albums"},
		{"photos.write in its declared words", "Add photos, and change or delete the ones you have"},
	} {
		if err := t.expect(strings.Contains(text, words[1]), "the consent page names %s: %q", words[0], words[1]); err != nil {
			return err
		}
	}
	return nil
}

// comeBack is step 3.
func (t *tour) comeBack(request, back *url.URL) error {
	t.begin(3, "The browser comes back with a code, state and iss")
	t.saw("redirected to %s", brief(back))
	query := back.Query()
	if err := t.expect(query.Get("code") != "" && !query.Has("error"), "a code and no error"); err != nil {
		return err
	}
	if err := t.expect(query.Get("state") == request.Query().Get("state"), "state is what the print-shop sent"); err != nil {
		return err
	}
	return t.expect(query.Get("iss") == t.Issuer, "iss is %s", t.Issuer)
}

// exchange is step 4, which happens behind the callback. It returns the page that the print-shop shows in the end.
func (t *tour) exchange(ctx context.Context, back *url.URL) (*browser.Page, error) {
	t.begin(4, "The client exchanges the code")
	before, err := t.grants(ctx)
	if err != nil {
		return nil, err
	}
	page, err := t.browser.Get(ctx, back.String())
	if err != nil {
		return nil, err
	}
	if page.Next == nil {
		return nil, t.expect(false, "the print-shop takes the code (HTTP %d: %s)", page.Status, page.Text())
	}
	t.saw("HTTP %d to %s", page.Status, brief(page.Next))
	if page, err = t.browser.Get(ctx, page.Next.String()); err != nil {
		return nil, err
	}
	after, err := t.grants(ctx)
	if err != nil {
		return nil, err
	}
	if page.ID("signed-in-as") == nil {
		return nil, t.expect(false, "the print-shop shows the photos page (HTTP %d: %s)", page.Status, page.Text())
	}
	if err := t.expect(page.Status == http.StatusOK, "the print-shop shows the photos page to %s", page.ID("signed-in-as").Text()); err != nil {
		return nil, err
	}
	maps.DeleteFunc(after, func(name string, _ bool) bool { return before[name] })
	return page, t.expect(len(after) == 1, "one OAuthGrant was written for it: %s", strings.Join(slices.Collect(maps.Keys(after)), " "))
}

// issued is step 5, as the print-shop tells it.
func (t *tour) issued(album *browser.Page) error {
	t.begin(5, "The authorization server issues an access token and an ID token")
	facts := album.ID("steps").Definitions()
	for _, name := range []string{"typ", "aud", "scope", "client_id", "sub", "expires"} {
		// What step 1 asked for is among them: it is told apart where it differs.
		t.saw("%-10s %s", name, strings.Join(slices.Compact(slices.Clone(facts[name])), " | "))
	}
	for _, want := range [][2]string{{"typ", "at+jwt"}, {"client_id", namespace + ".print-shop"}} {
		if err := t.expect(slices.Contains(facts[want[0]], want[1]), "%s is %s", want[0], want[1]); err != nil {
			return err
		}
	}
	if err := t.expect(strings.Contains(strings.Join(facts["aud"], " "), photosAPI), "the access token is for %s", photosAPI); err != nil {
		return err
	}
	return t.expect(len(facts["sub"]) == 1 && facts["sub"][0] != "", "the ID token says who signed in")
}

// called is step 6: each photo on the page is fetched from the API with the token.
func (t *tour) called(ctx context.Context, album *browser.Page) error {
	t.begin(6, "The client calls the resource server")
	pictures, err := album.Images()
	if err != nil {
		return err
	}
	if err := t.expect(len(pictures) > 0, "the page shows %d photos", len(pictures)); err != nil {
		return err
	}
	for _, address := range pictures {
		picture, err := t.browser.Get(ctx, address.String())
		if err != nil {
			return err
		}
		shape, format, err := image.DecodeConfig(bytes.NewReader(picture.Body))
		if err := t.expect(err == nil && picture.Status == http.StatusOK, "%s is a %s of %d × %d, %d KB",
			address.Path, format, shape.Width, shape.Height, len(picture.Body)>>10); err != nil {
			return err
		}
	}
	return nil
}

// delivered is step 7: who the TokenReview said it was, and that the scope lets a print be ordered.
func (t *tour) delivered(ctx context.Context, album *browser.Page) error {
	t.begin(7, "The resource server has the token reviewed, checks the scope, and delivers or refuses")
	if err := t.expect(album.ID("api-user").Text() != "", "the TokenReview named the user: %q", album.ID("api-user").Text()); err != nil {
		return err
	}
	form, err := album.Form("order-print-fog")
	if err != nil {
		return err
	}
	ordered, err := t.browser.Submit(ctx, form, "order-print-fog", nil)
	if err != nil {
		return err
	}
	if ordered.Next == nil {
		return t.expect(false, "a print is ordered (HTTP %d: %s)", ordered.Status, ordered.Text())
	}
	page, err := t.browser.Get(ctx, ordered.Next.String())
	if err != nil {
		return err
	}
	return t.expect(page.ID("notice") != nil && page.ID("error-code") == nil, "photos.write is good for ordering: %q", page.ID("notice").Text())
}

// deny walks to the consent page again, where alice says no.
func (t *tour) deny(ctx context.Context) error {
	t.aside("The same again, and the user denies")
	request, err := t.request(ctx)
	if err != nil {
		return err
	}
	back, err := t.answer(ctx, request, t.callback(), alice("deny", t.checkConsent))
	if err != nil {
		return err
	}
	t.saw("redirected to %s", brief(back))
	query := back.Query()
	if err := t.expect(query.Get("error") == "access_denied" && !query.Has("code") && query.Get("state") == request.Query().Get("state") && query.Get("iss") == t.Issuer,
		"error is access_denied, with state and iss, and there is no code"); err != nil {
		return err
	}
	page, err := t.browser.Get(ctx, back.String())
	if err != nil {
		return err
	}
	return t.expect(page.ID("error-code").Text() == "access_denied", "the print-shop says so: %s", page.ID("error-code").Text())
}

// grants are the names of the OAuthGrants.
func (t *tour) grants(ctx context.Context) (map[string]bool, error) {
	text, err := t.cluster.CoreV1().RESTClient().Get().AbsPath("/apis/oauth.latchkey.io/v1alpha1/namespaces/latchkey-system/oauthgrants").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("list OAuthGrants: %w", err)
	}
	var list metav1.PartialObjectMetadataList
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, grant := range list.Items {
		names[grant.Name] = true
	}
	return names, nil
}
