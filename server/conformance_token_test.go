package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// wantTokenError checks an error response of the token endpoint (RFC 6749 section 5.2).
func wantTokenError(t *testing.T, r reply, status int, code string) {
	t.Helper()
	if r.StatusCode != status || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v %s", r.Status, r.Header, r.body)
	}
	body := object(t, r.body)
	if body["error"] != code {
		t.Errorf("%v, not %s", body, code)
	}
	for name := range body {
		if name != "error" && name != "error_description" && name != "error_uri" {
			t.Errorf("an error response with %s", name)
		}
	}
}

// A code works once; when it comes again, at once or later, what it gave is taken back (RFC 6749 section 4.1.2).
func TestCodeReuseTakesBackWhatTheCodeGave(t *testing.T) {
	for _, after := range []time.Duration{0, 30 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			p := newParty(t)
			code := p.gets("scope", "openid offline_access")
			tokens := p.redeems(code)
			p.Clock.Advance(after)
			wantTokenError(t, p.posts("/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {partyRedirect}}),
				http.StatusBadRequest, "invalid_grant")
			if r := p.userinfo(p.URL, tokens["access_token"]); r.StatusCode != http.StatusUnauthorized {
				t.Errorf("the access token: %s", r.Status)
			}
			wantTokenError(t, p.refreshes(tokens["refresh_token"]), http.StatusBadRequest, "invalid_grant")
		})
	}
}

func (p *party) refreshes(token any) reply {
	p.t.Helper()
	raw, _ := token.(string)
	if raw == "" {
		p.t.Fatal("no refresh token")
	}
	return p.posts("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {raw}})
}

// A client that has a secret may send it either way (RFC 6749 section 2.3.1).
func TestClientSecretPost(t *testing.T) {
	p := newParty(t)
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {p.gets()}, "redirect_uri": {partyRedirect},
		"client_id": {partyID}, "client_secret": {partySecret},
	}
	r := p.newRequest(http.MethodPost, p.URL+"/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", formContentType)
	got := p.send(r)
	tokens := object(t, got.body)
	if expires, ok := tokens["expires_in"].(float64); got.StatusCode != http.StatusOK || !ok || expires <= 0 || tokens["token_type"] != "Bearer" {
		t.Errorf("%s %s", got.Status, got.body)
	}
}

// A refreshed ID token speaks of the same authentication (OpenID Connect Core section 12.2).
func TestRefreshedIDToken(t *testing.T) {
	p := newParty(t)
	tokens := p.redeems(p.gets("scope", "openid offline_access", "prompt", "consent"))
	first := claimsOf(t, tokens["id_token"].(string))
	p.Clock.Advance(time.Second)
	r := p.refreshes(tokens["refresh_token"])
	if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		t.Fatalf("%s %v %s", r.Status, r.Header, r.body)
	}
	refreshed := object(t, r.body)
	if expires, ok := refreshed["expires_in"].(float64); !ok || expires <= 0 || refreshed["token_type"] != "Bearer" || refreshed["access_token"] == tokens["access_token"] {
		t.Errorf("%v", refreshed)
	}
	second := claimsOf(t, refreshed["id_token"].(string))
	same(t, first, second)
	if second["iat"].(float64) != first["iat"].(float64)+1 || second["nonce"] != nil || first["azp"] != second["azp"] {
		t.Errorf("was %v and is %v", first, second)
	}
	if r := p.userinfo(p.URL, refreshed["access_token"]); r.StatusCode != http.StatusOK {
		t.Errorf("userinfo: %s %s", r.Status, r.body)
	}
}

// A refresh token belongs to the client that it was given to (RFC 6749 section 6), and lives on when another tries it.
func TestRefreshTokenOfAnotherClient(t *testing.T) {
	p := newParty(t)
	other := p.as(otherPartyID)
	token := other.redeems(other.gets("scope", "openid offline_access", "prompt", "consent"))["refresh_token"]
	wantTokenError(t, p.refreshes(token), http.StatusBadRequest, "invalid_grant")
	if r := other.refreshes(token); r.StatusCode != http.StatusOK {
		t.Errorf("its own client: %s %s", r.Status, r.body)
	}
}

// Entropy and characters of what is issued (RFC 6749 section 10.10 and appendix A).
func TestCodesAndTokensAreLongAndPlain(t *testing.T) {
	p := newParty(t)
	code := p.gets("scope", "openid offline_access")
	tokens := p.redeems(code)
	for name, value := range map[string]any{"code": code, "access_token": tokens["access_token"], "refresh_token": tokens["refresh_token"]} {
		s, _ := value.(string)
		if len(s) < 32 || strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r > 0x7e }) {
			t.Errorf("%s %q", name, s)
		}
	}
}
