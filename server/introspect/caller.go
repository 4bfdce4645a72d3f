package introspect

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/workload"
)

// caller is who asks: a client or a ServiceAccount.
type caller struct {
	client  *registry.Client
	account *workload.Caller
}

// name is for the log.
func (c *caller) name() string {
	if c.client != nil {
		return c.client.ID
	}
	return c.account.Username()
}

// audience is whom a signed reply is for (RFC 9701 section 5): the client_id, or the identifier of the resource server that the
// ServiceAccount asks for. Where it may ask for none, that is the ServiceAccount itself.
func (c *caller) audience(permitted []string) string {
	if c.client == nil && len(permitted) > 0 {
		return permitted[0]
	}
	return c.name()
}

// caller finds out who asks (RFC 7662 section 2.1): with a bearer token, a ServiceAccount; otherwise a client.
func (h *Handler) caller(w http.ResponseWriter, r *http.Request, form url.Values, iss *registry.Issuer) (*caller, error) {
	if raw, ok := bearer(r.Header); ok {
		if form.Get("client_secret") != "" || form.Get("client_assertion") != "" {
			return nil, oauth.Errorf(oauth.InvalidRequest, "more than one method of authentication is used")
		}
		return h.account(w, r, iss, raw)
	}
	authenticated, err := h.Clients.Authenticate(r, form, iss, h.Now())
	if err != nil {
		return nil, err
	}
	if authenticated.Client.Public {
		return nil, oauth.Errorf(oauth.InvalidClient, "a client without a credential may not introspect tokens")
	}
	return &caller{client: authenticated.Client}, nil
}

// account proves a ServiceAccount, whose token must be for this issuer. A refusal is that of RFC 6750 section 3, as RFC 7662 section
// 2.3 wants it.
func (h *Handler) account(w http.ResponseWriter, r *http.Request, iss *registry.Issuer, raw string) (*caller, error) {
	err := workload.ErrUnproven
	if h.Callers != nil {
		var account *workload.Caller
		if account, err = h.Callers.Authenticate(r.Context(), h.Source(r), []string{iss.URL}, raw); err == nil {
			return &caller{account: account}, nil
		}
	}
	if errors.Is(err, workload.ErrUnproven) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="introspect", error="invalid_token"`)
		return nil, oauth.Errorf(oauth.InvalidToken, "the bearer token is not a ServiceAccount token whose audience is the issuer")
	}
	return nil, oauth.Errorf(oauth.TemporarilyUnavailable, "the caller could not be proven; try again").Wrap(err)
}

// bearer is the token of the one Authorization header, where that is of the scheme Bearer.
func bearer(header http.Header) (string, bool) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	return oauth.BearerToken(values[0])
}

// mayIntrospect says whether the caller may ask about tokens for the resource.
func (h *Handler) mayIntrospect(ctx context.Context, c *caller, r *registry.Resource) (bool, error) {
	if c.client != nil {
		return slices.Contains(r.Introspectors, c.client.ID), nil
	}
	return h.Callers.MayReview(ctx, c.account, r)
}
