// Package userinfo is the userinfo endpoint (OpenID Connect Core section 5.3): a resource server of the issuer's own, whose
// audience is the issuer.
package userinfo

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// ErrNoToken is in the chain of the error for a request without a token: its challenge names no error (RFC 6750 section
// 3.1).
var ErrNoToken = errors.New("userinfo: no token in the request")

// Config is what a Handler needs.
type Config struct {
	Verifier *token.Verifier
}

// Handler serves /userinfo.
type Handler struct{ Config }

// New makes a Handler.
func New(c Config) *Handler { return &Handler{c} }

// response is OpenID Connect Core section 5.3.2.
type response struct {
	Subject string `json:"sub"`
	token.UserClaims
}

// Serve answers with what the token tells of its user: as JSON, or signed for a client that is declared so. Its errors are for
//
//	oauth.WriteBearerError(w, e, !errors.Is(err, userinfo.ErrNoToken))
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	raw, err := bearer(r)
	if err != nil {
		return err
	}
	active, err := h.Verifier.Active(r.Context(), iss, raw, []string{iss.URL})
	switch {
	case errors.Is(err, token.ErrInactive):
		return oauth.Errorf(oauth.InvalidToken, "the access token is not valid here").Wrap(err)
	case err != nil:
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the access token could not be verified; try again").Wrap(err)
	}
	scopes := active.CountingScopes(iss, nil) // identity scopes alone
	if active.User == nil || !slices.Contains(scopes, oauth.ScopeOpenID) {
		return oauth.Errorf(oauth.InsufficientScope, "the access token does not have the scope openid")
	}
	subject := iss.Subject(active.Client, active.User)
	claims := token.ClaimsOf(active.User, scopes, token.AllowedClaims(active.Client, active.Grant.UserinfoClaims))
	if active.Client.UserinfoAlgorithm == "" {
		return oauth.WriteJSON(w, http.StatusOK, response{subject, claims})
	}
	signed, err := token.SignUserinfo(iss, active.Client, subject, claims, h.Verifier.Now())
	if err != nil {
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the issuer has no key to sign with; try again").Wrap(err)
	}
	oauth.NoStore(w.Header())
	return oauth.WriteBody(w, http.StatusOK, oauth.JWTMediaType, []byte(signed))
}

// bearer finds the token, in the one place where it is (RFC 6750 section 2): the Authorization header, or the form body of
// a POST. Tokens in URLs are refused, for URLs are logged (OAuth 2.1 section 5.1).
func bearer(r *http.Request) (string, error) {
	if r.URL.RawQuery != "" {
		return "", oauth.Errorf(oauth.InvalidRequest, "parameters do not belong in the query string")
	}
	inBody, err := bodyToken(r)
	if err != nil {
		return "", err
	}
	headers := r.Header.Values("Authorization")
	switch {
	case len(headers) > 1 || len(headers) == 1 && inBody != "":
		return "", oauth.Errorf(oauth.InvalidRequest, "more than one access token is given")
	case inBody != "":
		return inBody, nil
	case len(headers) == 0:
		return "", oauth.Errorf(oauth.InvalidToken, "an access token is needed").Wrap(ErrNoToken)
	}
	raw, ok := oauth.BearerToken(headers[0])
	if !ok {
		return "", oauth.Errorf(oauth.InvalidToken, "an access token is needed").Wrap(ErrNoToken)
	}
	return raw, nil
}

// bodyToken reads access_token from the form of a POST that has one (RFC 6750 section 2.2). With a token in the header, a
// body that is no form is none of our business: HTTP libraries send an empty JSON object with every POST.
func bodyToken(r *http.Request) (string, error) {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	isForm := strings.EqualFold(strings.TrimSpace(media), oauth.FormMediaType)
	if r.Method != http.MethodPost || media == "" || !isForm && r.Header.Get("Authorization") != "" {
		return "", nil
	}
	form, err := oauth.ParseBody(r)
	return form.Get("access_token"), err
}
