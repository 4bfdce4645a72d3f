package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// asking is a request of each kind that a limit counts, by the flag of the limit.
func asking(t *testing.T, public, secret *app) map[string]func() int {
	stranger := *secret
	stranger.secret = "guessed"
	token := func(a *app) func() int {
		return func() int {
			answer, err := a.token(t.Context(), url.Values{"grant_type": {"authorization_code"}, "code": {"none"}})
			if err != nil {
				t.Fatal(err)
			}
			return answer.status
		}
	}
	return map[string]func() int{
		"--limit-pages":          func() int { return get(t, public.ask("openid").url) },
		"--limit-unproven":       token(&stranger),
		"--limit-public-clients": token(public),
		"--limit-clients":        token(secret),
	}
}

// get is the status that a page is answered with, be it a redirect.
func get(t *testing.T, page string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := direct.Transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// limited starts a server with flags, and returns when it is ready.
func limited(t *testing.T, issuer string, args ...string) {
	t.Helper()
	server, health := startServer(t, issuer, args...)
	eventually(t, "the server is ready", patience, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, health+"/readyz", http.NoBody)
		if err != nil {
			return false, err
		}
		status, _, err := send(request)
		return err == nil && status == http.StatusOK, server.Failure()
	})
}

// Row: anonymous flood: each flag sets the limit that it is named for, of a real server, and no other.
func TestFlagsOfLimits(t *testing.T) {
	name, issuer := newIssuer(t)
	n := newTenant(t)
	n.declare("page", public(), at(name), redirects(callback))
	n.declare("app", confidential, at(name), redirects(callback), generated("app-oauth"))
	ready(t, n.clients(), "page")
	ready(t, n.clients(), "app")
	open := &app{t: t, issuer: issuer, id: n.namespace + ".page", redirectURI: callback}
	kinds := asking(t, open, n.withCredentials(&app{t: t, issuer: issuer, redirectURI: callback}, "app-oauth"))
	for flag, ask := range kinds {
		t.Run(flag, func(t *testing.T) {
			limited(t, issuer, flag+"=0.0001:2")
			for i, want := range []bool{false, false, true} {
				if status := ask(); (status == http.StatusTooManyRequests) != want {
					t.Errorf("request %d: HTTP %d", i+1, status)
				}
			}
			for other, ask := range kinds {
				if status := ask(); other != flag && status == http.StatusTooManyRequests {
					t.Errorf("%s is limited as well", other)
				}
			}
		})
	}
	t.Run("--max-requests", func(t *testing.T) {
		limited(t, issuer, "--max-requests=2") // one of them from one network
		hold(t, issuer, "POST /token HTTP/1.1\r\nHost: "+strings.TrimPrefix(issuer, "http://")+
			"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant_type=")
		eventually(t, "a request beside another is refused", patience, func(context.Context) (bool, error) {
			return get(t, open.ask("openid").url) == http.StatusServiceUnavailable, nil
		})
	})
	t.Run("--max-connections", func(t *testing.T) {
		limited(t, issuer, "--max-connections=2")
		hold(t, issuer, "GET ")
		c := hold(t, issuer, "GET / HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n")
		if said, err := io.ReadAll(c); len(said) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("a connection beside another is served: %.40q, %v", said, err)
		}
	})
}

// hold opens a connection to an issuer's server and says no more than the text.
func hold(t *testing.T, issuer, text string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(issuer, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}
