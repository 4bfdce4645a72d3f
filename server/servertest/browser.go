package servertest

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// Verifier is the PKCE code verifier that Params uses.
const Verifier = "servertest-verifier-0123456789-abcdefghijklmnop"

// Browser is a browser without JavaScript: it keeps cookies, and follows redirects when told to.
type Browser struct {
	Server *Server
	Jar    http.CookieJar
	tb     testing.TB
	client *http.Client
}

// Page is what a browser got.
type Page struct {
	Status int
	Header http.Header
	Body   string
	// URL is where it is.
	URL string
}

// NewBrowser returns a browser without cookies.
func (s *Server) NewBrowser() *Browser {
	s.tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	client := s.Client()
	client.Jar = jar
	return &Browser{Server: s, Jar: jar, tb: s.tb, client: client}
}

// Copy returns a browser with the cookies that this one has for the server.
func (b *Browser) Copy() *Browser {
	b.tb.Helper()
	c := b.Server.NewBrowser()
	at, err := url.Parse(b.Server.URL)
	if err != nil {
		b.tb.Fatal(err)
	}
	c.Jar.SetCookies(at, b.Jar.Cookies(at))
	return c
}

// Get fetches a URL and doesn't follow a redirect.
func (b *Browser) Get(target string) *Page {
	b.tb.Helper()
	return b.do(http.MethodGet, target, nil)
}

// Post sends a form and doesn't follow a redirect.
func (b *Browser) Post(target string, form url.Values) *Page {
	b.tb.Helper()
	return b.do(http.MethodPost, target, form)
}

func (b *Browser) do(method, target string, form url.Values) *Page {
	b.tb.Helper()
	req, err := http.NewRequestWithContext(b.tb.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		b.tb.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.tb.Fatal(err)
	}
	return &Page{Status: res.StatusCode, Header: res.Header, Body: string(body), URL: target}
}

// Follow follows redirects for as long as they stay at the server. The last page is one that is shown, or the redirect
// that leaves.
func (b *Browser) Follow(p *Page) *Page {
	b.tb.Helper()
	for range 10 {
		location := p.Location()
		if location == "" || !strings.HasPrefix(location, b.Server.URL+"/") {
			return p
		}
		p = b.Get(location)
	}
	b.tb.Fatalf("redirected more than 10 times, last to %s", p.URL)
	return nil
}

// SignIn fills in the sign-in page and follows where that leads.
func (b *Browser) SignIn(p *Page, username, password string) *Page {
	b.tb.Helper()
	return b.Follow(b.Post(p.Action(b.tb), url.Values{"username": {username}, "password": {password}}))
}

// Decide presses a button of the consent page, "allow" or "deny", and follows where that leads.
func (b *Browser) Decide(p *Page, decision string) *Page {
	b.tb.Helper()
	return b.Follow(b.Post(p.Action(b.tb), url.Values{"decision": {decision}}))
}

// Authorize opens the authorization endpoint of the issuer with the path, and follows where that leads.
func (b *Browser) Authorize(path string, params url.Values) *Page {
	b.tb.Helper()
	return b.Follow(b.Get(b.Server.URL + path + "/authorize?" + params.Encode()))
}

// Params are a good authorization request of registrytest.PrintShop, for both scopes of Photos.
func Params() url.Values {
	challenge := sha256.Sum256([]byte(Verifier))
	return url.Values{
		"response_type":         {"code"},
		"client_id":             {registrytest.PrintShop},
		"redirect_uri":          {registrytest.PrintShopRedirect},
		"scope":                 {"openid photos.read photos.write"},
		"state":                 {"state-1"},
		"nonce":                 {"nonce-1"},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}
}

// Location is where a redirect leads, empty when the page is none.
func (p *Page) Location() string { return p.Header.Get("Location") }

// Response is what a redirect tells the client.
func (p *Page) Response(tb testing.TB) url.Values {
	tb.Helper()
	u, err := url.Parse(p.Location())
	if err != nil || p.Location() == "" {
		tb.Fatalf("%d %s: not a redirect: %s", p.Status, p.URL, p.Body)
	}
	return u.Query()
}

// Action is where the form of the page goes.
func (p *Page) Action(tb testing.TB) string {
	tb.Helper()
	form := p.find(func(n *html.Node) bool { return n.Data == "form" })
	if form == nil {
		tb.Fatalf("%d %s: no form: %s", p.Status, p.URL, p.Body)
	}
	return attr(form, "action")
}

// Text is the text of the element with the id, empty when there is none.
func (p *Page) Text(id string) string {
	if n := p.byID(id); n != nil {
		return text(n)
	}
	return ""
}

// Attr is an attribute of the element with the id, empty when there is none.
func (p *Page) Attr(id, name string) string {
	if n := p.byID(id); n != nil {
		return attr(n, name)
	}
	return ""
}

func (p *Page) byID(id string) *html.Node {
	return p.find(func(n *html.Node) bool { return attr(n, "id") == id })
}

func (p *Page) find(match func(*html.Node) bool) *html.Node {
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return nil
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && match(n) {
			return n
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}
