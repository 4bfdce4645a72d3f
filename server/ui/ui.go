// Package ui renders the pages that people see: sign-in, consent and errors, with their stylesheet and images. Pages work
// without JavaScript, hold no inline style or script, and are written only once they are complete. One of them, which posts a form
// for the user, has a script that saves pressing its button.
package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

//go:embed templates/*.html
var templates embed.FS

// Pages are the parsed templates and the assets that they refer to. They are safe for concurrent use.
type Pages struct {
	login, consent, formPost, failure     *template.Template
	device, deviceConsent, deviceDecision *template.Template
	signOut, signedOut                    *template.Template
	assets                                *Assets
}

// New parses the templates and tries each: one that does not parse, or that names an asset or a field there isn't, is an
// error now rather than when somebody wants to sign in.
func New() (*Pages, error) {
	assets, err := newAssets()
	if err != nil {
		return nil, err
	}
	p := &Pages{assets: assets}
	for _, page := range []struct {
		name string
		into **template.Template
		try  any
	}{
		{"login.html", &p.login, LoginPage{Problem: ProblemMissing}},
		{"consent.html", &p.consent, ConsentPage{Identity: make([]ScopeLine, 1), Resources: []ConsentResource{{Scopes: make([]ScopeLine, 1)}}, Known: make([]ScopeLine, 1), Offline: true}},
		{"form-post.html", &p.formPost, FormPostPage{Fields: make([]Field, 1)}},
		{"error.html", &p.failure, ErrorPage{}.explained()},
		{"device.html", &p.device, DevicePage{Problem: ProblemUserCode}},
		{"device-consent.html", &p.deviceConsent, DeviceConsentPage{ConsentPage: ConsentPage{Identity: make([]ScopeLine, 1), Resources: []ConsentResource{{Scopes: make([]ScopeLine, 1)}}}}},
		{"device-decision.html", &p.deviceDecision, DeviceDecisionPage{}},
		{"sign-out.html", &p.signOut, SignOutPage{ClientName: "x"}},
		{"signed-out.html", &p.signedOut, SignedOutPage{}},
	} {
		if *page.into, err = parse(page.name, assets); err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
		if err := (*page.into).Execute(io.Discard, page.try); err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
	}
	return p, nil
}

// parse reads one page together with the layout that frames it and the parts that several pages have.
func parse(name string, assets *Assets) (*template.Template, error) {
	funcs := template.FuncMap{"asset": assets.url, "text": plain, "offline": func() string { return OfflineWords }}
	return template.New("layout.html").Option("missingkey=error").Funcs(funcs).
		ParseFS(templates, "templates/layout.html", "templates/asked.html", "templates/"+name)
}

// Assets serves what the pages refer to.
func (p *Pages) Assets() *Assets { return p.assets }

// Login writes the sign-in page.
func (p *Pages) Login(w http.ResponseWriter, status int, v LoginPage) error {
	return render(w, p.login, status, v.Chrome, v.RetryAfter, v)
}

// FormPost writes the page that posts an authorization response to the client.
func (p *Pages) FormPost(w http.ResponseWriter, v FormPostPage) error {
	policy, err := v.autoSubmitPolicy()
	if err != nil {
		return err
	}
	return write(w, p.formPost, http.StatusOK, policy, 0, v)
}

// Consent writes the page on which a user allows or denies what a client asks for.
func (p *Pages) Consent(w http.ResponseWriter, status int, v ConsentPage) error {
	return render(w, p.consent, status, v.Chrome, 0, v)
}

// Error writes a page for a failure that is not told to a client by a redirect, in the words for its code.
func (p *Pages) Error(w http.ResponseWriter, status int, v ErrorPage) error {
	return render(w, p.failure, status, v.Chrome, 0, v.explained())
}

// render writes a page without scripts.
func render(w http.ResponseWriter, t *template.Template, status int, c Chrome, retry time.Duration, v any) error {
	policy, err := c.contentSecurityPolicy()
	if err != nil {
		return err
	}
	return write(w, t, status, policy, retry, v)
}

// write executes the whole template before the first byte is sent, so that a page is either complete or not there.
func write(w http.ResponseWriter, t *template.Template, status int, policy string, retry time.Duration, v any) error {
	var page bytes.Buffer
	if err := t.Execute(&page, v); err != nil {
		return fmt.Errorf("ui: %w", err)
	}
	h := w.Header()
	setPageHeaders(h, policy)
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	if retry > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(retry)))
	}
	w.WriteHeader(status)
	_, err := w.Write(page.Bytes())
	return err
}

// seconds rounds up: who comes back in that time isn't sent away again.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
