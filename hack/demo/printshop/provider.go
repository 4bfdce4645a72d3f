package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
)

// provider is what the authorization server says of itself (OpenID Connect Discovery section 3).
type provider struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	// IssInResponse says that every authorization response carries iss (RFC 9207 section 3).
	IssInResponse bool `json:"authorization_response_iss_parameter_supported"`
}

// discover fetches the metadata and checks that they are the issuer's own (section 4.3).
func discover(ctx context.Context, client *http.Client, issuer string) (*provider, error) {
	p := &provider{}
	if err := fetch(ctx, client, strings.TrimRight(issuer, "/")+"/.well-known/openid-configuration", p); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if p.Issuer != issuer {
		return nil, fmt.Errorf("discovery: %s calls itself %s", issuer, p.Issuer)
	}
	return p, nil
}

func fetch(ctx context.Context, client *http.Client, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was read whole, or is of no use
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(into)
}

// config is how golang.org/x/oauth2 talks to the provider.
func (p *provider) config(c credentials, redirectURL string, scopes []string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.clientID, ClientSecret: c.clientSecret, RedirectURL: redirectURL, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: p.AuthorizationEndpoint, TokenURL: p.TokenEndpoint, AuthStyle: oauth2.AuthStyleInHeader},
	}
}

// idClaims are the claims of an ID token that the shop looks at.
type idClaims struct {
	Nonce             string `json:"nonce"`
	Name              string `json:"name"`
	PreferredUsername string `json:"preferred_username"`
	jwt.RegisteredClaims
}

// verifyIDToken checks an ID token as OpenID Connect Core section 3.1.3.7 wants.
func (p *provider) verifyIDToken(ctx context.Context, client *http.Client, raw, clientID, nonce string) (*idClaims, error) {
	claims := &idClaims{}
	_, err := jwt.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		return p.key(ctx, client, kid, t.Method.Alg())
	},
		jwt.WithValidMethods([]string{"RS256", "ES256"}), jwt.WithIssuer(p.Issuer), jwt.WithAudience(clientID),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding(),
	)
	if err != nil {
		return nil, err
	}
	if claims.Nonce != nonce {
		return nil, errors.New("the ID token was made for another sign-in")
	}
	return claims, nil
}

// webKey is a public key (RFC 7517).
type webKey struct{ Kty, Kid, Alg, Crv, X, Y, N, E string }

// key fetches the key with the kid, whose own algorithm counts and not the token's word.
func (p *provider) key(ctx context.Context, client *http.Client, kid, alg string) (any, error) {
	var set struct{ Keys []webKey }
	if err := fetch(ctx, client, p.JWKSURI, &set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		if k.Kid == kid && k.Alg == alg {
			return k.public()
		}
	}
	return nil, fmt.Errorf("no key %q for %s", kid, alg)
}

func (k webKey) public() (any, error) {
	number := func(s string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return new(big.Int)
		}
		return new(big.Int).SetBytes(b)
	}
	switch {
	case k.Kty == "RSA":
		return &rsa.PublicKey{N: number(k.N), E: int(number(k.E).Int64())}, nil
	case k.Kty == "EC" && k.Crv == "P-256":
		return &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(k.X), Y: number(k.Y)}, nil
	}
	return nil, fmt.Errorf("a key of the unknown type %s", k.Kty)
}
