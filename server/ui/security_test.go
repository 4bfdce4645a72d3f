package ui

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
)

// TestXSS: no field can add an element, an event handler, a style or a script URL to a page.
func TestXSS(t *testing.T) {
	for _, payload := range []string{
		`"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`, `" autofocus onfocus="alert(1)`, `</title></main><h1>Your account is locked</h1>`,
		`javascript:alert(1)`, ` JaVaScRiPt:alert(1)`, `data:text/html,<script>alert(1)</script>`, `vbscript:x`, `{{.Action}}`, `<!--`, "`${1}`", "\x00<\x00script>",
		`<svg/onload=alert(1)>`, `&#60;script&#62;`, `<bdi>`,
	} {
		plain := filled(t, "text")
		for name, w := range filled(t, payload) {
			doc := parsed(t, w)
			checkHarmless(t, name+" with "+payload, doc)
			if got, want := elements(doc), elements(parsed(t, plain[name])); !slices.Equal(got, want) {
				t.Errorf("%s with %s has elements %v; want %v", name, payload, got, want)
			}
		}
	}
}

func elements(doc *html.Node) []string {
	var out []string
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n.Data)
		}
	}
	return out
}

func checkHarmless(t *testing.T, what string, doc *html.Node) {
	t.Helper()
	for n := range doc.Descendants() {
		if n.Data == "script" || n.Data == "style" || n.Data == "base" || n.Data == "iframe" {
			t.Errorf("%s: element %s", what, n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("%s: attribute %s", what, a.Key)
			}
			if a.Key == "href" || a.Key == "src" || a.Key == "action" {
				checkURL(t, what, a.Val)
			}
		}
	}
}

func checkURL(t *testing.T, what, url string) {
	t.Helper()
	lower := strings.ToLower(strings.TrimSpace(url))
	for _, scheme := range []string{"javascript:", "data:", "vbscript:"} {
		if strings.HasPrefix(lower, scheme) {
			t.Errorf("%s: URL %s", what, url)
		}
	}
}

// TestDisguise: a name can't change the direction of what follows it, hide a part of itself, or break out of its line.
func TestDisguise(t *testing.T) {
	const hostile = "Bank\u202egnihsihp\u202c \u2066a\u2067b\u2068c\u2069 \u200e\u200f\u061c\u200b\u2060\ufeff\u00ad\u2028\u2029\u0007\u009b\U000e0041\u3164 shop"
	for name, w := range filled(t, hostile) {
		doc := parsed(t, w)
		for n := range doc.Descendants() {
			texts := []string{n.Data}
			if n.Type != html.TextNode {
				texts = []string{attr(n, "value"), attr(n, "content")}
			}
			for _, r := range strings.Join(texts, "") {
				if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == '\u3164' {
					t.Errorf("%s: %s shows %U", name, n.Data, r)
				}
			}
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"Print shop":                       "Print shop",
		"  Print \t\r\n shop ":             "Print shop",
		"הזמנות":                           "הזמנות",
		"می\u200cخواهم":                    "می\u200cخواهم",
		"👩\u200d🚀 crew":                    "👩\u200d🚀 crew",
		"Zoë":                              "Zoë",
		"Z" + strings.Repeat("\u0301", 50): "Z" + strings.Repeat("\u0301", maxCombiningRun),
		"\u202ea\u202c":                    "a",
		"\xff":                             "\uFFFD",
		"\u200c\u200d":                     "",
		"\ufe0f \u0301":                    "",
		"a\u200d\u200db":                   "a\u200db",
		strings.Repeat("x", 600):           strings.Repeat("x", maxText) + "…",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q; want %q", in, got, want)
		}
	}
}

// TestHeaders: clickjacking, leakage, caching and sniffing are forbidden on every page.
func TestHeaders(t *testing.T) {
	want := map[string]string{
		"Content-Type": "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' https://shop.example; " +
			"frame-ancestors 'none'; base-uri 'none'",
		"X-Frame-Options":              "DENY",
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"Cache-Control":                "no-store",
		"Cross-Origin-Resource-Policy": "same-origin",
	}
	for name, w := range filled(t, "text") {
		for header, value := range want {
			if got := w.Header().Get(header); got != value {
				t.Errorf("%s: %s: %q; want %q", name, header, got, value)
			}
		}
		if p := w.Header().Get("Permissions-Policy"); !strings.Contains(p, "geolocation=()") || strings.Contains(p, "*") {
			t.Errorf("%s: Permissions-Policy: %s", name, p)
		}
	}
}

// TestFormOriginsAreNoPolicy: nothing that could add to the policy gets into it, and a page that can't have its policy is
// not written at all.
func TestFormOriginsAreNoPolicy(t *testing.T) {
	for _, source := range []string{
		"", "*", "'none'", "'unsafe-inline'", "https://*", "https://*.example", "https://a.example;script-src *", "https://a.example,x", "https://a.example b",
		"https://a.example\r\nX: y", "https://a.example/path", "https://a.example?q", "https://user@a.example", "https://[::1]:80", "javascript:", "data:", "shop.example", "HTTPS://A.example",
	} {
		w := httptest.NewRecorder()
		err := pages(t).Login(w, http.StatusOK, LoginPage{Chrome: Chrome{FormOrigins: []string{source}}})
		if err == nil || w.Body.Len() != 0 || len(w.Header()) != 0 {
			t.Errorf("%q: %v, %d bytes, headers %v", source, err, w.Body.Len(), w.Header())
		}
	}
	for _, path := range []string{"//evil.example", "tenant", "/tenant/", "https://evil.example"} {
		if err := pages(t).Error(httptest.NewRecorder(), http.StatusOK, ErrorPage{Chrome: Chrome{BasePath: path}}); err == nil {
			t.Errorf("base path %s is taken", path)
		}
	}
}

func TestFormOriginAndRedirectHost(t *testing.T) {
	for uri, want := range map[string][2]string{
		"https://shop.example/callback?x=1":   {"https://shop.example", "shop.example"},
		"https://shop.example:8443/callback":  {"https://shop.example:8443", "shop.example:8443"},
		"http://127.0.0.1:51234/cb":           {"http://127.0.0.1:51234", "127.0.0.1:51234"},
		"http://[::1]:51234/cb":               {"http:", "[::1]:51234"},
		"com.example.app:/callback":           {"com.example.app:", "com.example.app:"},
		"com.example.app://callback":          {"com.example.app:", "com.example.app:"},
		"https://xn--bcher-kva.example/books": {"https://xn--bcher-kva.example", "xn--bcher-kva.example"},
	} {
		source, err := FormOrigin(uri)
		if err != nil || source != want[0] || RedirectHost(uri) != want[1] {
			t.Errorf("%s: source %q, %v; host %q; want %q", uri, source, err, RedirectHost(uri), want)
		}
	}
	for _, uri := range []string{"javascript:alert(1)", "data:text/html,x", "https://a;b/", "https://a b/", "https://*/", "%", "", "/callback"} {
		if source, err := FormOrigin(uri); err == nil {
			t.Errorf("%q: %q", uri, source)
		}
	}
}
