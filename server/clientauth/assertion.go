package clientauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// readAssertion reads private_key_jwt (RFC 7523 section 2.2), or the token of a ServiceAccount in the same form. The assertion of
// private_key_jwt names the client; client_id may be left out, and must name the same one if it is not (RFC 7521 section 4.2).
func readAssertion(form url.Values) (credentials, error) {
	if form.Get("client_assertion_type") != oauth.AssertionTypeJWTBearer {
		return credentials{}, oauth.Errorf(oauth.InvalidClient, "client_assertion_type must be %s", oauth.AssertionTypeJWTBearer)
	}
	if isAccountToken(form.Get("client_assertion")) {
		return readAccount(form)
	}
	a, err := token.ParseAssertion(form.Get("client_assertion"))
	if err != nil {
		return credentials{}, errFailed().Wrap(err)
	}
	if named := form.Get("client_id"); named != "" && named != a.ClientID {
		return credentials{}, errFailed().Wrap(errors.New("client_id in the body is not the one in the assertion"))
	}
	return credentials{method: oauth.AuthMethodPrivateKeyJWT, clientID: a.ClientID, assertion: a}, nil
}

// verifyAssertion verifies the assertion with keys of this client alone, and lets it be used once.
func (a *Authenticator) verifyAssertion(r *http.Request, iss *registry.Issuer, client *registry.Client, assertion *token.Assertion, now time.Time) error {
	audiences := audiencesOf(r, iss, client)
	set, err := a.keysOf(r.Context(), client, now)
	if err != nil {
		return errFailed().Wrap(err)
	}
	err = assertion.Verify(set, audiences, now)
	if errors.Is(err, token.ErrUnknownKey) && client.Assertion.JWKSURI != "" {
		if set, err = a.keySets.renew(r.Context(), client.Namespace, client.Assertion.JWKSURI, now); err == nil {
			err = assertion.Verify(set, audiences, now)
		}
	}
	if err != nil {
		return errFailed().Wrap(err)
	}
	switch err := a.seen.use(signer{client.Namespace, client.UID}, assertion.ID, assertion.ExpiresAt, now); {
	case errors.Is(err, errSeen):
		return errFailed().Wrap(err)
	case err != nil:
		return oauth.Errorf(oauth.TemporarilyUnavailable, "too many client assertions are in use; try again in a moment").Wrap(err)
	}
	return nil
}

// audiencesOf are the names of this server that the client's assertions may be for: the issuer identifier (RFC 7523 section 3 as
// amended by draft-ietf-oauth-rfc7523bis); and where the client is declared so, the token endpoint and the endpoint that is called
// (OpenID Connect Core section 9).
func audiencesOf(r *http.Request, iss *registry.Issuer, client *registry.Client) []string {
	if !client.Assertion.TokenEndpointAudience {
		return []string{iss.URL}
	}
	return []string{iss.URL, iss.Endpoint("/token"), iss.Endpoint(strings.TrimPrefix(r.URL.Path, iss.Path))}
}

// keysOf returns the client's keys, declared or fetched.
func (a *Authenticator) keysOf(ctx context.Context, client *registry.Client, now time.Time) (*keys.PublicSet, error) {
	if client.Assertion.Keys != nil {
		return client.Assertion.Keys, nil
	}
	return a.keySets.get(ctx, client.Namespace, client.Assertion.JWKSURI, now)
}
