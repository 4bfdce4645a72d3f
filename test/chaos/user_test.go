package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// transport is that of clients and browsers, which are counted. Connections are kept for no longer than a server that ends lets them be: one
// that is used for the first time in minutes may always be closed at that very moment (RFC 9112 section 9.3.1).
func (s *site) transport() http.RoundTripper {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Second}
	s.t.Cleanup(transport.CloseIdleConnections)
	return counting{transport, s.report}
}

// newUser is a user who signs in and approves the app.
func (s *site) newUser(name string) *browser.Browser {
	s.t.Helper()
	f := s.signIn(name, s.transport())
	must(s.t, f.redeem(s.t.Context())) // an approval is remembered while a grant of it lives
	f.isRemembered(s.servers...)
	return f.user
}

// isRemembered waits until servers have heard of the user's only grant: until then, one that did not make it asks the user to approve again.
func (f *flow) isRemembered(servers ...*replica) {
	f.site.t.Helper()
	v, to := f.site.visitor()
	user := f.user.Through(v.client.Transport)
	for _, server := range servers {
		to.at.Store(server)
		eventually(f.site.t, server.name+" remembers what the user approved", func(ctx context.Context) (bool, error) {
			page, err := user.Get(ctx, f.url())
			return err == nil && codeOf(page) != "", err
		})
	}
}

// signIn has a user sign in with a new browser, and approve the app unless that is remembered. The flow has its code.
func (s *site) signIn(name string, transport http.RoundTripper) *flow {
	s.t.Helper()
	b, err := browser.New(transport)
	must(s.t, err)
	f := &flow{site: s, user: b, verifier: rand.Text() + rand.Text()}
	page, err := b.Get(s.t.Context(), f.url())
	must(s.t, err)
	page = s.press(b, page, "sign-in", map[string]string{"username": name, "password": password})
	if codeOf(page) == "" {
		page = s.press(b, page, "allow", nil)
	}
	if f.code = codeOf(page); f.code == "" {
		s.t.Fatalf("%s approved and gets no code", name)
	}
	return f
}

// press follows redirects to a page, presses a button there, and follows redirects again.
func (s *site) press(b *browser.Browser, page *browser.Page, button string, fields map[string]string) *browser.Page {
	s.t.Helper()
	form, err := s.onward(b, page).Form(button)
	must(s.t, err)
	page, err = b.Submit(s.t.Context(), form, button, fields)
	must(s.t, err)
	return s.onward(b, page)
}

// onward follows redirects until one leads to the app, or a page comes.
func (s *site) onward(b *browser.Browser, page *browser.Page) *browser.Page {
	s.t.Helper()
	for range 10 {
		if page.Next == nil || strings.HasPrefix(page.Next.String(), callback) {
			return page
		}
		next, err := b.Get(s.t.Context(), page.Next.String())
		must(s.t, err)
		page = next
	}
	s.t.Fatal("the server redirects in a circle")
	return nil
}

// codeOf is the code that a redirect brings the app, or empty.
func codeOf(page *browser.Page) string {
	if page.Next == nil || !strings.HasPrefix(page.Next.String(), callback) {
		return ""
	}
	return page.Next.Query().Get("code")
}

// authorize asks for a code for the user, who is signed in and has approved it.
func (f *flow) authorize(ctx context.Context) error {
	_, err := insist(ctx, func() (again bool, err error) {
		page, err := f.user.Get(ctx, f.url())
		if err == nil && f.site.grants != nil && page.Next != nil && strings.HasSuffix(page.Next.Path, "/consent") {
			page, err = f.allow(ctx, page)
		}
		if err != nil || transient(page.Status) {
			return true, err
		}
		if f.code = codeOf(page); f.code == "" {
			return false, fmt.Errorf("no code but HTTP %d: %v %s", page.Status, page.Next, page.Text())
		}
		return false, nil
	})
	return err
}

// allow has the user approve again, if asked, what can't be remembered while Valkey is away, and leads to where that leads.
func (f *flow) allow(ctx context.Context, page *browser.Page) (_ *browser.Page, err error) {
	for range 20 {
		switch {
		case codeOf(page) != "" || transient(page.Status):
			return page, nil
		case page.Next != nil:
			page, err = f.user.Get(ctx, page.Next.String())
		default:
			var form *browser.Form
			if form, err = page.Form("allow"); err == nil {
				page, err = f.user.Submit(ctx, form, "allow", nil)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the server redirects in a circle")
}
