package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// formSource is what we take as a CSP source: a scheme, or scheme and host with an optional port. Wildcards, paths and
// keywords are not needed; anything that could end the directive is not matched.
var formSource = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:(//[A-Za-z0-9._-]+(:[0-9]{1,5})?)?$`)

// FormOrigin returns the CSP source that lets a form's submission be redirected to the redirect URI, which has been
// validated. CSP has no notation for IPv6 literals (CSP Level 3 section 2.3.1): for them it is the scheme alone.
func FormOrigin(redirectURI string) (string, error) {
	u, err := url.Parse(redirectURI)
	if err != nil {
		return "", fmt.Errorf("ui: redirect URI: %w", err)
	}
	source := strings.ToLower(u.Scheme) + ":"
	if (u.Scheme == "http" || u.Scheme == "https") && !strings.HasPrefix(u.Host, "[") {
		source += "//" + u.Host
	}
	return source, checkFormSource(source)
}

// RedirectHost is what a page calls the place a redirect URI leads to: its host, or the scheme of an app's own.
func RedirectHost(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	switch {
	case err != nil:
		return ""
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Host
	}
	return u.Scheme + ":"
}

func checkFormSource(source string) error {
	scheme, _, _ := strings.Cut(source, ":")
	if !formSource.MatchString(source) || scheme == "javascript" || scheme == "data" {
		return fmt.Errorf("ui: not a source that a form may lead to: %q", source)
	}
	return nil
}

// contentSecurityPolicy allows the page its own assets and forms and nothing else (CSP Level 3).
func (c Chrome) contentSecurityPolicy() (string, error) {
	return c.policy("default-src 'none'", append([]string{"'self'"}, c.FormOrigins...))
}

// autoSubmitPolicy is that of a page which posts its form by itself: a script from our own files, none in the page, and a form
// that leads nowhere but to the form origins.
func (c Chrome) autoSubmitPolicy() (string, error) {
	return c.policy("default-src 'none'; script-src 'self'", c.FormOrigins)
}

func (c Chrome) policy(begin string, forms []string) (string, error) {
	if c.BasePath != "" && (c.BasePath[0] != '/' || strings.HasPrefix(c.BasePath, "//") || strings.HasSuffix(c.BasePath, "/")) {
		return "", fmt.Errorf("ui: not the path of an issuer: %q", c.BasePath)
	}
	for _, source := range c.FormOrigins {
		if err := checkFormSource(source); err != nil {
			return "", err
		}
	}
	if len(forms) == 0 {
		forms = []string{"'none'"}
	}
	return begin + "; style-src 'self'; img-src 'self'; form-action " + strings.Join(forms, " ") +
		"; frame-ancestors 'none'; base-uri 'none'", nil
}

// setPageHeaders are the headers of every page: it is not kept, framed, sniffed or told to anybody. There is no
// Cross-Origin-Opener-Policy: applications that sign their users in through a popup window would never hear of it.
func setPageHeaders(h http.Header, policy string) {
	oauth.NoStore(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("X-Robots-Tag", "noindex")
}
