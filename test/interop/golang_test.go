package interop

import (
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// relyingParty is a web application as Go programs write it: golang.org/x/oauth2 with coreos/go-oidc.
type relyingParty struct {
	t        *testing.T
	provider *oidc.Provider
	config   oauth2.Config
}

func newRelyingParty(t *testing.T, name string, scopes ...string) *relyingParty {
	t.Helper()
	c := find(t, name)
	provider, err := oidc.NewProvider(oidc.ClientContext(t.Context(), direct), c.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	return &relyingParty{t, provider, oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: c.RedirectURI, Endpoint: provider.Endpoint(), Scopes: scopes,
	}}
}

// ctx has both libraries trust the environment's CA.
func (p *relyingParty) ctx() context.Context { return oidc.ClientContext(p.t.Context(), direct) }

// signIn is the authorization code flow with PKCE, state and nonce.
func (p *relyingParty) signIn(options ...oauth2.AuthCodeOption) (*oauth2.Token, *oidc.IDToken) {
	p.t.Helper()
	return p.signInAs(dora(p.t), options...)
}

func (p *relyingParty) signInAs(who *person, options ...oauth2.AuthCodeOption) (*oauth2.Token, *oidc.IDToken) {
	p.t.Helper()
	verifier, state, nonce := oauth2.GenerateVerifier(), rand.Text(), rand.Text()
	options = append(options, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce))
	back := query(p.t, who.allows(p.t, p.config.AuthCodeURL(state, options...)))
	if back.Get("state") != state || !strings.HasPrefix(p.config.Endpoint.AuthURL, back.Get("iss")) || back.Get("code") == "" {
		p.t.Fatalf("came back with %v", back)
	}
	token, err := p.config.Exchange(p.ctx(), back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		p.t.Fatal(err)
	}
	id := p.verified(token)
	if id.Nonce != nonce {
		p.t.Errorf("nonce %q", id.Nonce)
	}
	return token, id
}

func query(t *testing.T, a arrival) url.Values {
	t.Helper()
	u, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// verified is the ID token, with all that go-oidc can check.
func (p *relyingParty) verified(token *oauth2.Token) *oidc.IDToken {
	p.t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := p.provider.VerifierContext(p.ctx(), &oidc.Config{ClientID: p.config.ClientID}).Verify(p.ctx(), raw)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		p.t.Errorf("at_hash: %v", err)
	}
	return id
}

func (p *relyingParty) userinfo(token *oauth2.Token) (*oidc.UserInfo, error) {
	return p.provider.UserInfo(p.ctx(), oauth2.StaticTokenSource(token))
}

// renewed is what a token source has once the access token is over.
func (p *relyingParty) renewed(token *oauth2.Token) (*oauth2.Token, error) {
	old := *token
	old.Expiry = time.Now().Add(-time.Minute)
	return p.config.TokenSource(p.ctx(), &old).Token()
}

// TestGoOIDC: discovery, code flow, ID token and userinfo, plain and signed, with each algorithm that a client may declare.
func TestGoOIDC(t *testing.T) {
	algorithms := map[string]string{
		"web": "RS256", "web-shop": "RS256", "phone": "RS256", "web-es256": "ES256", "web-ps256": "PS256", "web-eddsa": "EdDSA", "portal": "RS256",
	}
	for name, algorithm := range algorithms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newRelyingParty(t, name, oidc.ScopeOpenID, "profile", "email")
			token, id := p.signIn()
			only := &oidc.Config{ClientID: p.config.ClientID, SupportedSigningAlgs: []string{algorithm}}
			raw, _ := token.Extra("id_token").(string)
			if _, err := p.provider.VerifierContext(p.ctx(), only).Verify(p.ctx(), raw); err != nil {
				t.Error(err)
			}
			info, err := p.userinfo(token)
			if err != nil {
				t.Fatal(err)
			}
			if info.Subject != id.Subject || info.Email != "dora@example.com" || !info.EmailVerified {
				t.Errorf("userinfo is %+v", info)
			}
		})
	}
}

// TestPairwise: portals of another host don't know the user by the same name.
func TestPairwise(t *testing.T) {
	who := dora(t)
	_, known := newRelyingParty(t, "web", oidc.ScopeOpenID).signInAs(who)
	_, again := newRelyingParty(t, "phone", oidc.ScopeOpenID).signInAs(who)
	_, other := newRelyingParty(t, "portal", oidc.ScopeOpenID).signInAs(who)
	if known.Subject != again.Subject || other.Subject == known.Subject {
		t.Errorf("known as %q, %q and %q", known.Subject, again.Subject, other.Subject)
	}
}

// TestOAuth2 is what golang.org/x/oauth2 does, with and without OpenID Connect.
func TestOAuth2(t *testing.T) {
	t.Run("code", codeOfAnotherVerifier)
	t.Run("deny", func(t *testing.T) {
		p := newRelyingParty(t, "web", "orders.read")
		denied, err := dora(t).visit(t.Context(), p.config.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), "deny")
		if err != nil {
			t.Fatal(err)
		}
		if back := query(t, denied); back.Get("error") != "access_denied" || back.Get("state") != "s" {
			t.Errorf("came back with %v", back)
		}
	})
	t.Run("scope", func(t *testing.T) {
		token, id := newRelyingParty(t, "web", oidc.ScopeOpenID, "orders.read").signIn(oauth2.SetAuthURLParam("resource", resource))
		scope, _ := token.Extra("scope").(string)
		if granted := strings.Fields(scope); !slices.Contains(granted, "orders.read") || slices.Contains(granted, "orders.write") || id.Subject == "" {
			t.Errorf("the token has scope %q", scope)
		}
	})
	for _, name := range []string{"web", "phone"} {
		t.Run("refresh of "+name, func(t *testing.T) { refreshes(t, name) })
	}
	t.Run("client credentials", clientCredentials)
	t.Run("device", func(t *testing.T) { t.Parallel(); device(t) })
}

func codeOfAnotherVerifier(t *testing.T) {
	p := newRelyingParty(t, "web", "orders.read")
	verifier := oauth2.GenerateVerifier()
	back := query(t, dora(t).allows(t, p.config.AuthCodeURL(rand.Text(), oauth2.S256ChallengeOption(verifier))))
	if _, err := p.config.Exchange(p.ctx(), back.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
		t.Error("a code was exchanged with another verifier")
	}
	token, err := p.config.Exchange(p.ctx(), back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if !token.Valid() || token.Type() != "Bearer" || token.Extra("id_token") != nil {
		t.Errorf("a %s token that expires at %v", token.Type(), token.Expiry)
	}
}

func refreshes(t *testing.T, name string) {
	p := newRelyingParty(t, name, oidc.ScopeOpenID, oidc.ScopeOfflineAccess)
	first, id := p.signIn()
	second, err := p.renewed(first)
	if err != nil {
		t.Fatal(err)
	}
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken || p.verified(second).Subject != id.Subject {
		t.Error("the tokens are not new ones for the same user")
	}
	if _, err := p.userinfo(second); err != nil {
		t.Error(err)
	}
}

func clientCredentials(t *testing.T) {
	c := find(t, "robot")
	for style, name := range map[oauth2.AuthStyle]string{oauth2.AuthStyleInHeader: "header", oauth2.AuthStyleInParams: "parameters"} {
		config := clientcredentials.Config{
			ClientID: c.ID, ClientSecret: c.Secret, TokenURL: c.Issuer + "/token", AuthStyle: style,
			Scopes: []string{"orders.read"}, EndpointParams: url.Values{"resource": {resource}},
		}
		token, err := config.Token(oidc.ClientContext(t.Context(), direct))
		if err != nil {
			t.Fatalf("secret in %s: %v", name, err)
		}
		if !token.Valid() || token.RefreshToken != "" {
			t.Errorf("secret in %s: %+v", name, token)
		}
	}
}

// device polls as RFC 8628 says, after five seconds.
func device(t *testing.T) {
	p := newRelyingParty(t, "tv", oidc.ScopeOpenID, "profile", oidc.ScopeOfflineAccess)
	asked, err := p.config.DeviceAuth(p.ctx())
	if err != nil {
		t.Fatal(err)
	}
	who := dora(t)
	who.typed["user_code"] = strings.ToLower(strings.ReplaceAll(asked.UserCode, "-", " "))
	if _, err := who.visit(t.Context(), asked.VerificationURI, "allow"); err != nil {
		t.Fatal(err)
	}
	token, err := p.config.DeviceAccessToken(p.ctx(), asked)
	if err != nil {
		t.Fatal(err)
	}
	id := p.verified(token)
	if token, err = p.renewed(token); err != nil {
		t.Fatal(err)
	}
	if info, err := p.userinfo(token); err != nil || info.Subject != id.Subject {
		t.Errorf("%+v, %v", info, err)
	}
}
