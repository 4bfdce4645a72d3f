// Package grant is the token endpoint (RFC 6749 section 3.2). What all grant types share stands in Handler.Serve; each grant
// type has a file of its own.
package grant

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
)

// Config is what a Handler needs. All of it but Workloads is required.
type Config struct {
	Grants   store.Grants
	Devices  store.Devices
	SignOuts store.SignOuts
	Clients  *clientauth.Authenticator
	// Workloads proves those whose own tokens are exchanged; none are when nil.
	Workloads Workloads
	Now       func() time.Time
	// Logger takes the audit events token_issued, token_refused and grant_revoked.
	Logger *slog.Logger
	// Source tells the audit where a request comes from.
	Source func(*http.Request) netip.Addr
}

// Handler serves /token.
type Handler struct {
	Config
	polls *polls
	owed  *owed
	// types are what serves each grant type.
	types map[string]func(context.Context, *request) (*response, error)
}

// New makes a Handler.
func New(c Config) *Handler {
	h := &Handler{Config: c, polls: newPolls(), owed: newOwed()}
	h.types = map[string]func(context.Context, *request) (*response, error){
		oauth.GrantAuthorizationCode: h.authorizationCode,
		oauth.GrantRefreshToken:      h.refreshToken,
		oauth.GrantClientCredentials: h.clientCredentials,
		oauth.GrantDeviceCode:        h.deviceCode,
		oauth.GrantTokenExchange:     h.tokenExchange,
	}
	return h
}

// request is a token request whose client has proven itself, with what becomes known of it on its way.
type request struct {
	iss    *registry.Issuer
	client *registry.Client
	form   url.Values
	now    time.Time
	// source is where it comes from.
	source netip.Addr
	// audit describes the grant, as far as it is known.
	audit []slog.Attr
}

// response is RFC 6749 section 5.1, id_token of OpenID Connect Core section 3.1.3.3, and issued_token_type of RFC 8693 section 2.2.1.
// What is empty is left out.
type response struct {
	accessToken, refreshToken, idToken string
	// expiresIn is in seconds.
	expiresIn       int64
	scope           string
	issuedTokenType string
}

// object is the response as it is sent.
func (r *response) object() *oauth.Object {
	o := oauth.NewObject()
	o.String("access_token", r.accessToken)
	o.String("token_type", oauth.TokenTypeBearer)
	o.Number("expires_in", r.expiresIn)
	o.String("scope", r.scope)
	o.String("refresh_token", r.refreshToken)
	o.String("id_token", r.idToken)
	o.String("issued_token_type", r.issuedTokenType)
	return o
}

// Serve answers a token request. Its errors are for oauth.WriteError.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	req := &request{iss: iss, now: h.Now(), source: h.Source(r)}
	answer, err := h.answer(r, req)
	h.audit(r, req, err)
	if err != nil {
		return err
	}
	return oauth.WriteObject(w, http.StatusOK, answer.object())
}

func (h *Handler) answer(r *http.Request, req *request) (*response, error) {
	var err error
	if req.form, err = oauth.ParseForm(r); err != nil {
		return nil, err
	}
	caller, err := h.Clients.Authenticate(r, req.form, req.iss, req.now)
	if err != nil {
		return nil, inTheWordsOf(req.form.Get("grant_type"), err)
	}
	req.client = caller.Client
	req.audit = append(req.audit, slog.String("client_auth", caller.Method))
	if caller.ServiceAccount != "" {
		req.audit = append(req.audit, slog.String("service_account", caller.ServiceAccount))
	}
	redeem, err := h.grantType(req.form.Get("grant_type"), req.client)
	if err != nil {
		return nil, err
	}
	req.audit = append(req.audit, slog.String("grant_type", req.form.Get("grant_type")))
	return redeem(r.Context(), req)
}

// inTheWordsOf tells a device that polls too often to slow down: any other error would make it give up (RFC 8628 section 3.5).
func inTheWordsOf(grantType string, err error) error {
	e := oauth.AsError(err)
	if grantType != oauth.GrantDeviceCode || e.Code != oauth.TooManyRequests {
		return err
	}
	slow := oauth.Errorf(oauth.SlowDown, "%s", e.Description)
	slow.RetryAfter = e.RetryAfter
	return slow
}

// grantType finds what serves the grant type, if the client may use it.
func (h *Handler) grantType(name string, client *registry.Client) (func(context.Context, *request) (*response, error), error) {
	if name == "" {
		return nil, oauth.Errorf(oauth.InvalidRequest, "grant_type is missing")
	}
	redeem, ok := h.types[name]
	switch {
	case !ok:
		return nil, oauth.Errorf(oauth.UnsupportedGrantType, "the grant type is not supported")
	case !slices.Contains(client.GrantTypes, name):
		return nil, oauth.Errorf(oauth.UnauthorizedClient, "the client may not use the grant type")
	}
	return redeem, nil
}

// audit tells what became of the request.
func (h *Handler) audit(r *http.Request, req *request, err error) {
	attrs := append(make([]slog.Attr, 0, 6+len(req.audit)),
		slog.String("event", "token_issued"), slog.String("issuer", req.iss.URL), slog.String("source", req.source.String()))
	level := slog.LevelInfo
	if err != nil {
		e := oauth.AsError(err)
		attrs[0] = slog.String("event", "token_refused")
		attrs = append(attrs, slog.String("error", string(e.Code)), slog.String("reason", e.Error()))
		switch {
		case e.Code.Status() >= http.StatusInternalServerError:
			level = slog.LevelError
		case e.Code == oauth.AuthorizationPending || e.Code == oauth.SlowDown: // a device asks every few seconds
			level = slog.LevelDebug
		}
	}
	if req.client != nil {
		attrs = append(attrs, slog.String("client_id", req.client.ID))
	}
	h.Logger.LogAttrs(r.Context(), level, "audit", append(attrs, req.audit...)...)
}
