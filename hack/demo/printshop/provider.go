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
	"slices"
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
	AuthorizedParty   string `json:"azp"`
	jwt.RegisteredClaims
}

// verifyIDToken checks an ID token as OpenID Connect Core section 3.1.3.7 wants.
func (p *provider) verifyIDToken(ctx context.Context, client *http.Client, raw, clientID, nonce string) (*idClaims, error) {
	claims := &idClaims{}
	_, err := jwt.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		if _, critical := t.Header["crit"]; critical {
			return nil, errors.New("the ID token has an extension that is not understood") // RFC 7515 section 4.1.11
		}
		kid, _ := t.Header["kid"].(string)
		return p.key(ctx, client, kid, t.Method.Alg())
	},
		jwt.WithValidMethods([]string{"RS256", "ES256"}), jwt.WithIssuer(p.Issuer), jwt.WithAudience(clientID),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding(),
	)
	if err != nil {
		return nil, err
	}
	switch {
	case claims.Nonce != nonce:
		return nil, errors.New("the ID token was made for another sign-in")
	case claims.Subject == "":
		return nil, errors.New("the ID token is about nobody")
	case len(claims.Audience) > 1 && claims.AuthorizedParty != clientID:
		return nil, errors.New("the ID token was made for another client too")
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
	switch {
	case k.Kty == "RSA":
		return k.rsa()
	case k.Kty == "EC" && k.Crv == "P-256":
		return k.p256()
	}
	return nil, fmt.Errorf("a key of the unknown type %s", k.Kty)
}

func (k webKey) rsa() (any, error) {
	n, nErr := base64.RawURLEncoding.DecodeString(k.N)
	e, eErr := base64.RawURLEncoding.DecodeString(k.E)
	if err := errors.Join(nErr, eErr); err != nil {
		return nil, err
	}
	if len(e) == 0 || len(e) > 4 {
		return nil, errors.New("an RSA key with an exponent out of bounds")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

// p256 puts the coordinates into the uncompressed form of SEC 1, whose parser checks that they are on the curve.
func (k webKey) p256() (any, error) {
	x, xErr := base64.RawURLEncoding.DecodeString(k.X)
	y, yErr := base64.RawURLEncoding.DecodeString(k.Y)
	if err := errors.Join(xErr, yErr); err != nil {
		return nil, err
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
}
