package registry

import (
	"net/url"
	"strconv"
	"strings"
)

// RedirectURI is a registered redirect URI.
type RedirectURI struct {
	// URI as declared.
	URI string
	// loopback is the URI without its port if the port may differ (RFC 8252 section 7.3), else empty.
	loopback string
}

// ParseRedirectURI prepares a registered redirect URI for matching. Only that of a native application, which is a public
// client (RFC 8252 section 8.4), may have another port.
func ParseRedirectURI(uri string, public bool) RedirectURI {
	if !public {
		return RedirectURI{URI: uri}
	}
	return RedirectURI{URI: uri, loopback: withoutLoopbackPort(uri)}
}

// Matches compares a requested redirect URI exactly (RFC 9700 section 2.1), but for the port of a loopback IP redirect.
func (r RedirectURI) Matches(requested string) bool {
	if requested == r.URI {
		return true
	}
	return r.loopback != "" && withoutLoopbackPort(requested) == r.loopback
}

// withoutLoopbackPort returns an http URI of a loopback IP address without its port, or "" for any other. `localhost` is
// no loopback IP address: a resolver may answer anything for it (RFC 8252 section 8.3).
func withoutLoopbackPort(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.User != nil || (u.Hostname() != "127.0.0.1" && u.Hostname() != "::1") {
		return ""
	}
	rest, ok := strings.CutPrefix(uri, "http://"+u.Host)
	if !ok || strings.HasSuffix(u.Host, ":") || strings.ContainsAny(rest, "#\\") {
		return ""
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || len(u.Port()) > 5) {
		return "" // no port that a browser, or the page's policy, could name
	}
	return "http://" + u.Hostname() + rest
}
