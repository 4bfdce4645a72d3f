package interop

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// zitadelParty is a relying party of zitadel/oidc.
func zitadelParty(t *testing.T, c client, options ...rp.Option) rp.RelyingParty {
	t.Helper()
	scopes := []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeOfflineAccess}
	party, err := rp.NewRelyingPartyOIDC(t.Context(), c.Issuer, c.ID, c.Secret, c.RedirectURI, scopes,
		append(options, rp.WithHTTPClient(direct), rp.WithSigningAlgsFromDiscovery())...)
	if err != nil {
		t.Fatal(err)
	}
	return party
}

// zitadelSignIn is the authorization code flow.
func zitadelSignIn(t *testing.T, party rp.RelyingParty, who *person, options ...rp.CodeExchangeOpt) *oidc.Tokens[*oidc.IDTokenClaims] {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	address := rp.AuthURL("state", party, rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier)))
	back := query(t, who.allows(t, address))
	if back.Get("state") != "state" {
		t.Fatalf("came back with %v", back)
	}
	tokens, err := rp.CodeExchange[*oidc.IDTokenClaims](t.Context(), back.Get("code"), party, append(options, rp.WithCodeVerifier(verifier))...)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// TestZitadelOIDC is github.com/zitadel/oidc as relying party and as resource server.
func TestZitadelOIDC(t *testing.T) {
	for _, name := range []string{"web", "web-shop", "phone", "web-eddsa"} {
		t.Run("code of "+name, func(t *testing.T) {
			party := zitadelParty(t, find(t, name))
			knowsDoraToo(t, party, zitadelSignIn(t, party, dora(t)))
		})
	}
	t.Run("refresh, introspection and revocation", zitadelRefresh)
	t.Run("device", zitadelDevice)
	t.Run("logout", zitadelLogout)
	t.Run("private_key_jwt", zitadelKey)
}

func knowsDoraToo(t *testing.T, party rp.RelyingParty, tokens *oidc.Tokens[*oidc.IDTokenClaims]) {
	t.Helper()
	info, err := rp.Userinfo[*oidc.UserInfo](t.Context(), tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, party)
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != "Dora Wells" || info.Email != "dora@example.com" || !bool(info.EmailVerified) {
		t.Errorf("userinfo is %+v", info)
	}
}

func zitadelRefresh(t *testing.T) {
	ctx, party := t.Context(), zitadelParty(t, find(t, "web"))
	party.OAuthConfig().Scopes = append(party.OAuthConfig().Scopes, "orders.read")
	first := zitadelSignIn(t, party, dora(t))
	second, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, first.RefreshToken, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if second.RefreshToken == first.RefreshToken || second.IDTokenClaims.Subject != first.IDTokenClaims.Subject {
		t.Error("the tokens are not new ones for the same user")
	}
	orders := find(t, "orders")
	api, err := rs.NewResourceServerClientCredentials(ctx, orders.Issuer, orders.ID, orders.Secret, rs.WithClient(direct))
	if err != nil {
		t.Fatal(err)
	}
	active := func(ctx context.Context) bool {
		answer, err := rs.Introspect[*oidc.IntrospectionResponse](ctx, api, second.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Active
	}
	if !active(ctx) {
		t.Error("a good token is not active")
	}
	if err := rp.RevokeToken(ctx, party, second.RefreshToken, "refresh_token"); err != nil {
		t.Fatal(err)
	}
	if active(ctx) {
		t.Error("a revoked token is active")
	}
}

func zitadelDevice(t *testing.T) {
	party := zitadelParty(t, find(t, "tv"))
	asked, err := rp.DeviceAuthorization(t.Context(), []string{oidc.ScopeOpenID, oidc.ScopeProfile}, party, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dora(t).visit(t.Context(), asked.VerificationURIComplete, "allow"); err != nil {
		t.Fatal(err)
	}
	interval := time.Duration(asked.Interval) * time.Second // the library waits for that long, and then for an answer no longer
	tokens, err := rp.DeviceAccessToken(t.Context(), asked.DeviceCode, interval, party)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rp.VerifyTokens[*oidc.IDTokenClaims](t.Context(), tokens.AccessToken, tokens.IDToken, party.IDTokenVerifier()); err != nil {
		t.Error(err)
	}
}

func zitadelLogout(t *testing.T) {
	c := find(t, "web")
	party := zitadelParty(t, c)
	who := dora(t)
	tokens := zitadelSignIn(t, party, who)
	// It is the application's server that asks, which has none of her cookies, and then sends her where the answer says.
	address, err := rp.EndSession(t.Context(), party, tokens.IDToken, c.SignedOut, "left", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := who.visit(t.Context(), address.String(), "allow")
	if err != nil || out.URL != c.SignedOut+"?state=left" {
		t.Errorf("signing out ends at %+v, %v", out, err)
	}
	if _, err := rp.Userinfo[*oidc.UserInfo](t.Context(), tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, party); err != nil {
		t.Error(err, "although it may be used when she is not there (offline_access)")
	}
}

// zitadelKey authenticates with a key, by assertions that are good for an hour.
func zitadelKey(t *testing.T) {
	c := find(t, "signer")
	key := c.Keys["RS256"]
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key.Key.(*rsa.PrivateKey))})
	party := zitadelParty(t, c, rp.WithJWTProfile(rp.SignerFromKeyAndKeyID(private, key.KeyID)))
	assertion, err := c.Keys.assertion(c.ID, c.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	tokens := zitadelSignIn(t, party, dora(t), rp.WithClientAssertionJWT(assertion))
	knowsDoraToo(t, party, tokens)
	if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](t.Context(), party, tokens.RefreshToken, "", ""); err != nil {
		t.Error(err)
	}
}
