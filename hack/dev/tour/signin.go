package tour

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// maxPages ends a circle of redirects.
const maxPages = 20

// person is who sits in front of the browser.
type person struct {
	username, password string
	button             string // what they press on the consent page: allow or deny
	onConsent          func(*browser.Page) error
}

// answer goes from an authorization request through sign-in and consent until the authorization server sends the browser
// back to the client, and returns that address, which is not opened yet.
func (t *tour) answer(ctx context.Context, request *url.URL, callback string, who person) (*url.URL, error) {
	next := request
	for range maxPages {
		page, err := t.browser.Get(ctx, next.String())
		if err != nil {
			return nil, err
		}
		for page.Next == nil {
			if page, err = t.answerPage(ctx, page, who); err != nil {
				return nil, err
			}
		}
		if next = page.Next; withoutQuery(next) == callback {
			return next, nil
		}
	}
	return nil, errors.New("the authorization server redirects in a circle")
}

// answerPage fills in one page and returns what comes of it.
func (t *tour) answerPage(ctx context.Context, page *browser.Page, who person) (*browser.Page, error) {
	switch {
	case page.ID("sign-in") != nil:
		return t.signIn(ctx, page, who)
	case page.ID(who.button) != nil:
		if err := who.onConsent(page); err != nil {
			return nil, err
		}
		form, err := page.Form(who.button)
		if err != nil {
			return nil, err
		}
		t.saw("presses %q", page.ID(who.button).Text())
		return t.browser.Submit(ctx, form, who.button, nil)
	case page.ID("error-code") != nil:
		return nil, fmt.Errorf("the authorization server shows an error: %s", page.Text())
	}
	return nil, fmt.Errorf("a page that is neither sign-in nor consent (%s, HTTP %d): %s", page.URL.Path, page.Status, page.Text())
}

func (t *tour) signIn(ctx context.Context, page *browser.Page, who person) (*browser.Page, error) {
	t.saw("%q at %s", page.Title(), withoutQuery(page.URL))
	form, err := page.Form("sign-in")
	if err != nil {
		return nil, err
	}
	after, err := t.browser.Submit(ctx, form, "sign-in", map[string]string{"username": who.username, "password": who.password})
	if err != nil {
		return nil, err
	}
	return after, t.expect(after.Next != nil && after.Status == http.StatusSeeOther, "%s is signed in", who.username)
}

func withoutQuery(address *url.URL) string {
	return address.Scheme + "://" + address.Host + address.Path
}
