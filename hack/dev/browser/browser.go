// Package browser is a web browser reduced to what a sign-in needs: pages, forms, cookies and redirects, without JavaScript.
package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// Browser keeps cookies between requests. It follows no redirect by itself: each is a step worth seeing.
type Browser struct {
	client http.Client
	header http.Header // what a browser sends with every request
}

// New returns a browser without cookies that trusts what transport trusts.
func New(transport http.RoundTripper) (*Browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &Browser{
		client: http.Client{
			Jar:           jar,
			Transport:     transport,
			Timeout:       30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		header: http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}},
	}, nil
}

// Copy returns a browser with the cookies that this one has for the URL, as somebody has who copied them.
func (b *Browser) Copy(at *url.URL) (*Browser, error) {
	c, err := New(b.client.Transport)
	if err != nil {
		return nil, err
	}
	c.client.Jar.SetCookies(at, b.client.Jar.Cookies(at))
	return c, nil
}

// Through returns a browser that shares this one's cookies, and whose requests go by another transport.
func (b *Browser) Through(transport http.RoundTripper) *Browser {
	other := *b
	other.client.Transport = transport
	return &other
}

// Page is an answer: a document, an image, or a redirect.
type Page struct {
	// URL is where the page is from.
	URL *url.URL
	// Status is the HTTP status code.
	Status int
	// ContentType is as the server declares it.
	ContentType string
	// Next is where a redirect leads to. Nil when the page is none.
	Next *url.URL
	// Body is the whole content.
	Body []byte

	document   *html.Node
	noReferrer bool
}

// maxBody is larger than any page or image of the demo.
const maxBody = 16 << 20

// Get opens an address.
func (b *Browser) Get(ctx context.Context, address string) (*Page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.do(request)
}

// Submit sends a form as a click on the button with that id does, with the given fields filled in.
func (b *Browser) Submit(ctx context.Context, form *Form, button string, fields map[string]string) (*Page, error) {
	values, err := form.values(button, fields)
	if err != nil {
		return nil, err
	}
	if form.Method == http.MethodGet {
		target := *form.Action
		target.RawQuery = values.Encode()
		return b.Get(ctx, target.String())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, form.Action.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form.identify(request.Header)
	return b.do(request)
}

func (b *Browser) do(request *http.Request) (*Page, error) {
	for name, values := range b.header {
		request.Header[name] = values
	}
	response, err := b.client.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	page := &Page{URL: request.URL, Status: response.StatusCode, ContentType: response.Header.Get("Content-Type"), Body: body}
	page.noReferrer = response.Header.Get("Referrer-Policy") == "no-referrer"
	if err := page.read(response); err != nil {
		return nil, fmt.Errorf("%s: %w", request.URL.Redacted(), err)
	}
	return page, nil
}

func (p *Page) read(response *http.Response) (err error) {
	if response.StatusCode >= 300 && response.StatusCode < 400 && response.Header.Get("Location") != "" {
		p.Next, err = response.Location()
		return err
	}
	if strings.HasPrefix(p.ContentType, "text/html") {
		p.document, err = html.Parse(bytes.NewReader(p.Body))
	}
	return err
}
