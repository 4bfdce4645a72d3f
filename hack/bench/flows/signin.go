package flows

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// maxPages bounds how many pages are between an authorization request and its answer.
const maxPages = 10

// SignIn walks through the pages of a first flow, filling in whatever form there is with username and password and allowing what is
// asked for, and redeems the code, so that the server remembers. It returns the cookies that the browser has then, as a header.
func (s *Site) SignIn(ctx context.Context, username, password string) (cookies string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	w := &walk{site: s, username: username, password: password, client: &http.Client{
		Transport: &http.Transport{}, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	defer w.client.CloseIdleConnections()
	code, err := w.code(ctx)
	if err != nil {
		return "", fmt.Errorf("sign-in as %s: %w", username, err)
	}
	var pairs []string
	for _, c := range jar.Cookies(&url.URL{Scheme: "http", Host: s.Host, Path: s.Authorize}) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	cookies = strings.Join(pairs, "; ")
	client, err := s.Dial(ctx, cookies)
	if err != nil {
		return "", err
	}
	_, err = client.tokens(code)
	return cookies, errors.Join(err, client.Close())
}

// walk is a browser on its way through the pages.
type walk struct {
	site               *Site
	client             *http.Client
	username, password string
}

// code goes from page to page until the client is called back.
func (w *walk) code(ctx context.Context) (string, error) {
	at, form := &url.URL{Scheme: "http", Host: w.site.Host, Path: w.site.Authorize, RawQuery: w.site.query()}, url.Values(nil)
	for range maxPages {
		a, err := w.open(ctx, at, form)
		if err != nil {
			return "", err
		}
		switch {
		case strings.HasPrefix(a.location, w.site.RedirectURI+"?"):
			back, err := url.Parse(a.location)
			if err == nil && !back.Query().Has("code") {
				err = errors.New(a.location)
			}
			return back.Query().Get("code"), err
		case a.location != "":
			form = nil
			at, err = at.Parse(a.location)
		case a.status == http.StatusOK:
			at, form, err = w.fillIn(at, a.body)
		default:
			err = fmt.Errorf("%s: %d: %.300s", at.Path, a.status, a.body)
		}
		if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("after %d pages there is still another one, %s", maxPages, at)
}

// open posts a form, or gets a page when there is none.
func (w *walk) open(ctx context.Context, at *url.URL, form url.Values) (answer, error) {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, at.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := w.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	page, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get("Location"), string(page)}, errors.Join(err, response.Body.Close())
}

// fillIn is where the form of a page goes, and what goes there.
func (w *walk) fillIn(at *url.URL, page string) (*url.URL, url.Values, error) {
	document, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil, nil, err
	}
	form, action := url.Values{}, ""
	for n := range document.Descendants() {
		attributes := map[string]string{}
		for _, a := range n.Attr {
			attributes[a.Key] = a.Val
		}
		switch name := attributes["name"]; {
		case n.Data == "form" && action == "":
			action = attributes["action"]
		case n.Data == "input" && name == "username":
			form.Set(name, w.username)
		case n.Data == "input" && name == "password":
			form.Set(name, w.password)
		case n.Data == "input" && attributes["type"] == "hidden":
			form.Set(name, attributes["value"])
		case n.Data == "button" && name == "decision":
			form.Set(name, "allow")
		}
	}
	if action == "" {
		return nil, nil, fmt.Errorf("%s has no form: %.300s", at.Path, page)
	}
	to, err := at.Parse(action)
	return to, form, err
}
