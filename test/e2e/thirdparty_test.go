package e2e

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Clients that Go programs use do what they do with every other provider.
func TestThirdPartyClient(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	for server, issuer := range map[string]string{"default": live.Issuer, "local": live.LocalIssuer} {
		t.Run(server, func(t *testing.T) {
			n := tenant{t, n.namespace}
			a := n.confidentialApp("client-of-"+server, server, issuer)
			thirdParty(t, a, reviewer{t, service.credential, service.audience})
		})
	}
}

func thirdParty(t *testing.T, a *app, service reviewer) {
	t.Helper()
	ctx := oidc.ClientContext(t.Context(), direct)
	provider, err := oidc.NewProvider(ctx, a.issuer)
	if err != nil {
		t.Fatal(err)
	}
	config := oauth2.Config{
		ClientID: a.id, ClientSecret: a.secret, RedirectURL: a.redirectURI, Endpoint: provider.Endpoint(),
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", "orders.read"},
	}
	verifier, nonce := oauth2.GenerateVerifier(), rand.Text()
	r := &request{app: a, state: rand.Text(), redirectURI: a.redirectURI}
	r.url = config.AuthCodeURL(r.state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", a.resource))
	if _, err := config.Exchange(ctx, alice(t).allow(r).code, oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
		t.Error("a code was exchanged with another verifier")
	}
	token, err := config.Exchange(ctx, r.code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if !token.Valid() || token.Type() != "Bearer" {
		t.Errorf("a %s token that expires at %v", token.Type(), token.Expiry)
	}
	service.accepts(token.AccessToken)
	subject := verified(ctx, t, provider, config.ClientID, nonce, token)
	info, err := provider.UserInfo(ctx, config.TokenSource(ctx, token))
	if err != nil {
		t.Fatal(err)
	}
	if info.Subject != subject || info.Email != "alice@example.com" || !info.EmailVerified {
		t.Errorf("userinfo is %+v", info)
	}
	if _, err := config.Exchange(ctx, r.code, oauth2.VerifierOption(verifier)); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("the code a second time: %v", err)
	}
	service.comesToRefuse("the code was replayed", token.AccessToken)
}

// verified checks the ID token, with all that can be checked, and returns its subject.
func verified(ctx context.Context, t *testing.T, provider *oidc.Provider, clientID, nonce string, token *oauth2.Token) string {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: clientID}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	var claims struct {
		Name string `json:"name"`
	}
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if id.Nonce != nonce || !slices.Equal(id.Audience, []string{clientID}) || id.Subject == "" {
		t.Errorf("the ID token is %+v", id)
	}
	if _, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: clientID}).Verify(ctx, token.AccessToken); err == nil {
		t.Error("the access token passes for an ID token")
	}
	t.Logf("ID token for %q with name %q", id.Subject, claims.Name)
	return id.Subject
}
