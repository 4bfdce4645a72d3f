package session

import (
	"net/http"

	"github.com/latchkey-io/latchkey/server/registry"
)

// kind is one of the two cookies.
type kind string

const (
	sessionCookie    kind = "session"
	preSessionCookie kind = "browser"
)

// cookieName is the name of an issuer's cookie. Issuers may share a host, and all cookies have the path "/" as the prefix
// __Host- wants, so the name says whose it is. The prefix keeps other hosts of the domain from setting it; a plain http
// issuer, on loopback only, can't have it.
func cookieName(iss *registry.Issuer, k kind) string {
	if iss.Secure {
		return "__Host-latchkey-" + string(k) + "-" + iss.Tag
	}
	return "latchkey-" + string(k) + "-" + iss.Tag
}

// setCookie sets a cookie that lasts until the browser is closed. SameSite=Lax, for the browser comes to /authorize from the
// client's site.
func setCookie(w http.ResponseWriter, iss *registry.Issuer, k kind, value string) {
	http.SetCookie(w, newCookie(iss, k, value))
}

func clearCookie(w http.ResponseWriter, iss *registry.Issuer, k kind) {
	c := newCookie(iss, k, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
}

func newCookie(iss *registry.Issuer, k kind, value string) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(iss, k), Value: value, Path: "/",
		HttpOnly: true, Secure: iss.Secure, SameSite: http.SameSiteLaxMode,
	}
}
