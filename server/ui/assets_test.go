package ui

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// Whatever a page refers to is served, to be kept for ever.
func TestAssets(t *testing.T) {
	p := pages(t)
	refers := map[string]bool{}
	for _, w := range filled(t, "text") {
		for n := range parsed(t, w).Descendants() {
			if n.Data == "link" {
				refers[attr(n, "href")] = true
			}
			if n.Data == "img" {
				refers[attr(n, "src")] = true
			}
		}
	}
	if len(refers) != 3 {
		t.Errorf("pages refer to %v; want a stylesheet, a mark and an icon", refers)
	}
	for url := range refers {
		w := httptest.NewRecorder()
		if err := p.Assets().Serve(w, httptest.NewRequest(http.MethodGet, url, nil), nil); err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		h := w.Header()
		if !strings.HasPrefix(url, "/tenant/assets/") || w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: status %d, %d bytes", url, w.Code, w.Body.Len())
		}
		if h.Get("Cache-Control") != "public, max-age=31536000, immutable" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", url, h)
		}
		if ct := h.Get("Content-Type"); !strings.HasPrefix(ct, "text/css") && ct != "image/svg+xml" {
			t.Errorf("%s: %s", url, ct)
		}
	}
}

func TestAssetsRefused(t *testing.T) {
	a := pages(t).Assets()
	url, err := a.url("", "style.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path string
		want         oauth.Code
	}{
		{http.MethodGet, "/assets/style.css", oauth.NotFound},
		{http.MethodGet, "/assets/", oauth.NotFound},
		{http.MethodGet, "/assets/../ui.go", oauth.NotFound},
		{http.MethodPost, url, oauth.MethodNotAllowed},
	} {
		w := httptest.NewRecorder()
		err := a.Serve(w, httptest.NewRequest(test.method, test.path, nil), nil)
		var e *oauth.Error
		if !errors.As(err, &e) || e.Code != test.want || w.Body.Len() != 0 {
			t.Errorf("%s %s: %v", test.method, test.path, err)
		}
	}
	if url, err := a.url("", "missing.css"); err == nil {
		t.Errorf("a missing asset is at %s", url)
	}
}

// Assets need nothing from elsewhere, and images hold no script.
func TestAssetsStandAlone(t *testing.T) {
	for name, file := range pages(t).Assets().files {
		content := strings.ReplaceAll(string(file.content), `xmlns="http://www.w3.org/2000/svg"`, "")
		for _, unwanted := range []string{"url(", "@import", "://", "<script", "<style", "href", "onload"} {
			if strings.Contains(content, unwanted) {
				t.Errorf("%s holds %s", name, unwanted)
			}
		}
	}
}

// TestContrast: WCAG 2.2 level AA, sections 1.4.3 and 1.4.11, in light and dark.
func TestContrast(t *testing.T) {
	css, err := assetFiles.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there is no dark scheme")
	}
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colors := colorsOf(t, text)
		for _, pair := range []struct {
			front, back string
			ratio       float64
		}{
			{"ink", "page", 4.5}, {"ink", "surface", 4.5}, {"ink", "panel", 4.5}, {"muted", "page", 4.5}, {"muted", "surface", 4.5}, {"muted", "panel", 4.5},
			{"accent", "surface", 4.5}, {"accent-strong", "surface", 4.5}, {"on-accent", "accent", 4.5}, {"on-accent", "accent-strong", 4.5},
			{"problem", "problem-surface", 4.5}, {"problem", "surface", 3}, {"control", "surface", 3}, {"focus", "surface", 3}, {"focus", "page", 3},
		} {
			if got := contrast(colors[pair.front], colors[pair.back]); got < pair.ratio {
				t.Errorf("%s: %s on %s has a contrast of %.2f; want %.1f", scheme, pair.front, pair.back, got, pair.ratio)
			}
		}
	}
}

func colorsOf(t *testing.T, css string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		rgb, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		out[m[1]] = luminance(rgb)
	}
	return out
}

// luminance is the relative luminance of WCAG.
func luminance(rgb uint64) float64 {
	channel := func(shift uint) float64 {
		c := float64(rgb>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }
