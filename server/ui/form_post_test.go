package ui

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func formPost(t *testing.T, state string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	v := FormPostPage{
		Chrome: Chrome{IssuerName: "Example", BasePath: "/tenant", FormOrigins: []string{"https://shop.example"}}, Action: "https://shop.example/cb?a=b&c=d",
		ClientName: state, ClientHost: "shop.example", Fields: []Field{{"code", "abc"}, {"state", state}, {"iss", "https://login.example/tenant"}},
	}
	if err := pages(t).FormPost(w, v); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestFormPost: the parameters reach the client as they are, with and without JavaScript.
func TestFormPost(t *testing.T) {
	w := formPost(t, "a b+c&d=é")
	doc := parsed(t, w)
	f := form(t, byID(t, doc, "continue"))
	if w.Code != http.StatusOK || attr(f, "id") != "form-post" || attr(f, "method") != "post" || attr(f, "action") != "https://shop.example/cb?a=b&c=d" {
		t.Errorf("%d, form %v", w.Code, f.Attr)
	}
	if b := byID(t, doc, "continue"); b.Data != "button" || attr(b, "type") != "submit" || attr(b, "name") != "" {
		t.Errorf("button %v", b.Attr)
	}
	got := map[string]string{}
	for n := range f.Descendants() {
		if n.Data == "input" {
			got[attr(n, "name")] = attr(n, "value")
			if attr(n, "type") != "hidden" {
				t.Errorf("a field that is seen: %v", n.Attr)
			}
		}
	}
	if len(got) != 3 || got["code"] != "abc" || got["state"] != "a b+c&d=é" || got["iss"] != "https://login.example/tenant" {
		t.Errorf("fields %v", got)
	}
	want := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action https://shop.example; frame-ancestors 'none'; base-uri 'none'"
	if csp := w.Header().Get("Content-Security-Policy"); csp != want {
		t.Errorf("CSP %q", csp)
	}
	for header, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
}

// TestFormPostXSS: a state can't get out of its field, and there is no script but our own.
func TestFormPostXSS(t *testing.T) {
	plain := elements(parsed(t, formPost(t, "text")))
	for _, payload := range []string{
		`"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`, `" autofocus onfocus="alert(1)`, `</form><form action=//evil.example>`,
		`" formaction="https://evil.example`, `</title></script><script src=//evil.example>`, `javascript:alert(1)`, `<!--`, `--><b>`, `{{.Action}}`, "`${1}`", `&quot;><b>`, `&#34;>`,
	} {
		w := formPost(t, payload)
		doc := parsed(t, w)
		got := elements(doc)
		if strings.Join(got, " ") != strings.Join(plain, " ") {
			t.Errorf("%s: elements %v", payload, got)
		}
		scripts := 0
		for n := range doc.Descendants() {
			switch {
			case n.Data == "script":
				scripts++
				if src := attr(n, "src"); !strings.HasPrefix(src, "/tenant/assets/submit.") || n.FirstChild != nil {
					t.Errorf("%s: script %q", payload, src)
				}
			case n.Type == html.ElementNode && n.Data == "input" && attr(n, "name") == "state" && attr(n, "value") != payload:
				t.Errorf("%s: became %s", payload, attr(n, "value"))
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "formaction" {
					t.Errorf("%s: attribute %s", payload, a.Key)
				}
			}
		}
		if scripts != 1 {
			t.Errorf("%s: %d scripts", payload, scripts)
		}
	}
}

// A page that leads nowhere is allowed to post nowhere; other pages have no scripts.
func TestScriptsAreForOnePageAlone(t *testing.T) {
	w := httptest.NewRecorder()
	if err := pages(t).FormPost(w, FormPostPage{}); err != nil || !strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action 'none'") {
		t.Errorf("%v %q", err, w.Header().Get("Content-Security-Policy"))
	}
	if err := pages(t).FormPost(httptest.NewRecorder(), FormPostPage{Chrome: Chrome{FormOrigins: []string{"https://a.example;script-src *"}}}); err == nil {
		t.Error("the policy can be added to")
	}
	for name, w := range filled(t, "text") {
		if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "script-src") || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s has scripts: %s", name, csp)
		}
	}
}

// The script of the page is served as one.
func TestScriptIsServed(t *testing.T) {
	p := pages(t)
	url, err := p.Assets().url("", "submit.js")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := p.Assets().Serve(w, httptest.NewRequest(http.MethodGet, url, nil), nil); err != nil || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" ||
		!strings.Contains(w.Body.String(), ".submit()") {
		t.Errorf("%v %v %s", err, w.Header(), w.Body)
	}
}
