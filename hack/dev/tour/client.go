package tour

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// client is an OAuth client played by the tour itself, with the credentials from the Secret that the controller has written.
type client struct {
	http         *http.Client
	issuer       string
	id, secret   string
	redirectURI  string
	endpoints    metadata
	verifier     string
	state, nonce string
}

// metadata is what the client reads of the authorization server's (RFC 8414).
type metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
}

// tokens are a token endpoint's answer, or its error.
type tokens struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
	Error       string `json:"error"`

	status int
}

func (c *client) discover(ctx context.Context) error {
	status, err := c.fetch(ctx, http.MethodGet, c.issuer+"/.well-known/openid-configuration", nil, &c.endpoints)
	if err != nil {
		return err
	}
	if status != http.StatusOK || c.endpoints.Issuer != c.issuer {
		return fmt.Errorf("discovery at %s answers HTTP %d for issuer %q", c.issuer, status, c.endpoints.Issuer)
	}
	return nil
}

// authorizationRequest is a new request, with state, nonce and PKCE of its own.
func (c *client) authorizationRequest(scope, resource string) (*url.URL, error) {
	address, err := url.Parse(c.endpoints.AuthorizationEndpoint)
	if err != nil {
		return nil, err
	}
	c.verifier, c.state, c.nonce = rand.Text()+rand.Text(), rand.Text(), rand.Text()
	challenge := sha256.Sum256([]byte(c.verifier))
	query := url.Values{
		"client_id":             {c.id},
		"redirect_uri":          {c.redirectURI},
		"response_type":         {"code"},
		"scope":                 {scope},
		"resource":              {resource},
		"state":                 {c.state},
		"nonce":                 {c.nonce},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}
	address.RawQuery = query.Encode()
	return address, nil
}

// redeem exchanges a code for tokens. An OAuth error is an answer like any other.
func (c *client) redeem(ctx context.Context, code string) (answer tokens, err error) {
	answer.status, err = c.fetch(ctx, http.MethodPost, c.endpoints.TokenEndpoint, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {c.redirectURI},
		"code_verifier": {c.verifier},
	}, &answer)
	return answer, err
}

func (c *client) fetch(ctx context.Context, method, address string, form url.Values, into any) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret)) // encoded first: RFC 6749 §2.3.1
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return 0, fmt.Errorf("%s answers HTTP %d with something else than JSON: %w", address, response.StatusCode, err)
	}
	return response.StatusCode, nil
}

// claims reads a token's header and claims without verifying them: whether a token is valid is for its audience to find out.
func claims(token string) (header, payload map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("the token is not a JWT")
	}
	for i, into := range []*map[string]any{&header, &payload} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber() // times are shown as they are written
		if err := decoder.Decode(into); err != nil {
			return nil, nil, err
		}
	}
	return header, payload, nil
}
