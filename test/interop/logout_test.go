package interop

import (
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// TestBackChannelLogout: an application hears, by a token that it can verify, that a user it signed in has signed out of
// another one.
func TestBackChannelLogout(t *testing.T) {
	who := dora(t)
	hears := newRelyingParty(t, "portal", oidc.ScopeOpenID)
	session, id := hears.signInAs(who)
	leaves := newRelyingParty(t, "web", oidc.ScopeOpenID)
	token, _ := leaves.signInAs(who)

	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
		Supported  bool   `json:"backchannel_logout_supported"`
		ByID       bool   `json:"backchannel_logout_session_supported"`
	}
	if err := leaves.provider.Claims(&metadata); err != nil || !metadata.Supported || !metadata.ByID {
		t.Fatalf("the metadata says %+v, %v", metadata, err)
	}
	hint, _ := token.Extra("id_token").(string)
	out := who.allows(t, metadata.EndSession+"?"+url.Values{
		"id_token_hint": {hint}, "post_logout_redirect_uri": {apps.URL + "/signed-out"}, "state": {"left"},
	}.Encode())
	if out.URL != apps.URL+"/signed-out?state=left" || len(out.Asked) > 0 {
		t.Errorf("signing out ends at %+v", out)
	}

	select {
	case raw := <-apps.logouts:
		hears.isSignedOut(raw, id)
	case <-time.After(patience):
		t.Fatal("the application hears of no logout")
	}
	if _, err := hears.userinfo(session); err == nil {
		t.Error("the application's token is still good")
	}
	if _, err := hears.renewed(&oauth2.Token{RefreshToken: session.RefreshToken}); err == nil {
		t.Error("the application's refresh token is still good")
	}
}

// isSignedOut checks a logout token (OpenID Connect Back-Channel Logout section 2.6).
func (p *relyingParty) isSignedOut(raw string, id *oidc.IDToken) {
	p.t.Helper()
	token, err := p.provider.VerifierContext(p.ctx(), &oidc.Config{ClientID: p.config.ClientID}).Verify(p.ctx(), raw)
	if err != nil {
		p.t.Fatal(err)
	}
	var known, told struct {
		SessionID string         `json:"sid"`
		ID        string         `json:"jti"`
		Events    map[string]any `json:"events"`
	}
	if err := id.Claims(&known); err != nil {
		p.t.Fatal(err)
	}
	if err := token.Claims(&told); err != nil {
		p.t.Fatal(err)
	}
	_, event := told.Events["http://schemas.openid.net/event/backchannel-logout"]
	if token.Subject != id.Subject || told.SessionID != known.SessionID || told.SessionID == "" || told.ID == "" || !event || token.Nonce != "" {
		p.t.Errorf("the logout token says %+v of %q", told, token.Subject)
	}
}
