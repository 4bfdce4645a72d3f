package main

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
)

// refusal is a failure that a user can understand.
type refusal struct{ Code, Title, Text string }

// stepShown is one of the seven steps, as the page tells it.
type stepShown struct {
	Title, Text string
	Facts       [][2]string
}

// show renders a page whole before a byte of it is sent.
func (s *shop) show(w http.ResponseWriter, status int, name string, v any) {
	var page bytes.Buffer
	if err := s.pages.ExecuteTemplate(&page, name, v); err != nil {
		s.logger.Error("a page can't be rendered", "page", name, "error", err)
		http.Error(w, "the page can't be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := w.Write(page.Bytes()); err != nil {
		s.logger.Debug("a page was not read to its end", "error", err)
	}
}

func (s *shop) refuse(w http.ResponseWriter, status int, v refusal) {
	s.show(w, status, "refused.html", v)
}

// fail tells of a failure that is not the user's; the cause is logged.
func (s *shop) fail(w http.ResponseWriter, title string, err error) {
	s.logger.Error(title, "error", err)
	s.refuse(w, http.StatusBadGateway, refusal{Code: "unavailable", Title: title, Text: "Try again in a moment."})
}

// describe tells what happened in the seven steps, without any secret. The access token is decoded for people to look at
// only: it is the resource server's to validate.
func describe(c credentials, p *provider, a *attempt, q url.Values, token *oauth2.Token, id *idClaims) []stepShown {
	access := jwt.MapClaims{}
	header := map[string]any{}
	if t, _, err := jwt.NewParser().ParseUnverified(token.AccessToken, access); err == nil {
		header = t.Header
	}
	claim := func(name string) string {
		switch v := access[name].(type) {
		case string:
			return v
		case []any:
			var all []string
			for _, e := range v {
				if text, ok := e.(string); ok {
					all = append(all, text)
				}
			}
			return strings.Join(all, ", ")
		}
		return ""
	}
	expires := ""
	if t, err := access.GetExpirationTime(); err == nil && t != nil {
		expires = t.UTC().Format(time.TimeOnly) + " UTC"
	}
	typ, _ := header["typ"].(string)
	return []stepShown{
		{"The print shop asks", "It sent your browser to the authorization server.", [][2]string{{"client_id", c.clientID}, {"scope", strings.Join(a.scopes, " ")}, {"code_challenge_method", "S256"}}},
		{"You sign in and decide", "Your password went to the authorization server only.", [][2]string{{"at", p.AuthorizationEndpoint}}},
		{"The browser comes back", "With a code that is good once, for a minute.", [][2]string{{"code", shorten(q.Get("code"))}, {"state", shorten(q.Get("state"))}, {"iss", q.Get("iss")}}},
		{"The code is exchanged", "Server to server, with the client's secret and the PKCE verifier.", [][2]string{{"at", p.TokenEndpoint}, {"authenticated by", "client_secret_basic"}}},
		{"Tokens are issued", "An access token that is good at its audience only, and an ID token that says who you are.", [][2]string{{"typ", typ}, {"aud", claim("aud")}, {"scope", claim("scope")}, {"client_id", claim("client_id")}, {"expires", expires}, {"sub", id.Subject}}},
		{"The API is called", "With the access token as bearer.", [][2]string{{"authorization", "Bearer " + shorten(token.AccessToken)}}},
		{"The token is validated", "By a TokenReview at Latchkey, for the API's own audience. Then the photos are delivered.", nil},
	}
}

// shorten keeps enough of a value to recognise it and too little to use it.
func shorten(s string) string {
	if len(s) <= 12 {
		return "…"
	}
	return s[:8] + "…"
}
