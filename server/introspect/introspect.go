// Package introspect is the introspection endpoint (RFC 7662), with signed replies for those who ask for them (RFC 9701). A resource
// server asks there about an access token that it was shown.
//
// Two kinds of callers are answered: a ServiceAccount that may review tokens for the ResourceServer (as for a TokenReview), and a
// client that the ResourceServer declares for it. What is told of a token is what counts now at that resource server, and nothing about
// any other. To everybody else, and of everything that is no good access token, `active` is false and nothing more is said. What
// is not known, as when the store can't be read, is an error and never a no.
package introspect

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/workload"
)

// Config is what a Handler needs.
type Config struct {
	// Verifier says which tokens are good.
	Verifier *token.Verifier
	// Clients authenticates clients.
	Clients *clientauth.Authenticator
	// Callers proves and authorizes ServiceAccounts; no ServiceAccount is answered when nil.
	Callers *workload.Callers
	Now     func() time.Time
	// Logger takes the audit event introspection_refused, and why a token was refused; never a token.
	Logger *slog.Logger
	// Source tells the audit where a request comes from.
	Source func(*http.Request) netip.Addr
}

// Handler serves /introspect.
type Handler struct{ Config }

// New makes a Handler.
func New(c Config) *Handler { return &Handler{c} }

// response is RFC 7662 section 2.2, with auth_time of RFC 9470 section 6.2 and act of RFC 8693 section 4.1. What is not active has
// no other member.
type response struct {
	Active    bool     `json:"active"`
	Issuer    string   `json:"iss,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Username  string   `json:"username,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	ID        string   `json:"jti,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`

	Actor *token.Actor `json:"act,omitempty"`
}

// Serve answers an introspection request. Its errors are for oauth.WriteError.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	if iss.Keys == nil {
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the issuer has no keys yet; try again")
	}
	c, err := h.caller(w, r, form, iss)
	if err != nil {
		h.refused(r, iss, err)
		return err
	}
	raw := form.Get("token")
	if raw == "" {
		return oauth.Errorf(oauth.InvalidRequest, "token is missing")
	}
	candidate := h.Verifier.Seen.Candidate(raw)
	asked, err := h.permitted(r.Context(), iss, c, &candidate)
	if err != nil {
		return err
	}
	answer, err := h.introspect(r.Context(), iss, candidate, asked)
	if err != nil {
		return err
	}
	if wantsSigned(r.Header) {
		return h.writeSigned(w, iss, c.audience(asked), answer)
	}
	return oauth.WriteJSON(w, http.StatusOK, answer)
}

// refused tells the audit of somebody who has not proven to be a caller: secrets are guessed at here as well as at /token.
func (h *Handler) refused(r *http.Request, iss *registry.Issuer, err error) {
	e := oauth.AsError(err)
	h.Logger.LogAttrs(r.Context(), slog.LevelInfo, "audit", slog.String("event", "introspection_refused"), slog.String("issuer", iss.URL),
		slog.String("source", h.Source(r).String()), slog.String("error", string(e.Code)), slog.String("reason", e.Error()))
}

// permitted are those of the audiences that the token claims which the caller may ask about. Tokens of others cost nothing.
func (h *Handler) permitted(ctx context.Context, iss *registry.Issuer, c *caller, presented *token.Candidate) ([]string, error) {
	if presented.Issuer() != iss.URL {
		return nil, nil
	}
	var permitted []string
	for _, audience := range presented.Audience() {
		resource, ok := token.ResourceOf(iss, audience)
		if !ok {
			continue
		}
		may, err := h.mayIntrospect(ctx, c, resource)
		if err != nil {
			return nil, errUnknown(err)
		}
		if !may {
			h.Logger.InfoContext(ctx, "a caller may not introspect tokens for an audience", "issuer", iss.URL, "caller", c.name(), "audience", audience)
			continue
		}
		permitted = append(permitted, audience)
	}
	return permitted, nil
}

// introspect says what counts of the token at the audiences.
func (h *Handler) introspect(ctx context.Context, iss *registry.Issuer, presented token.Candidate, audiences []string) (response, error) {
	if len(audiences) == 0 {
		return response{}, nil
	}
	a, err := h.Verifier.ActiveCandidate(ctx, iss, presented, audiences)
	if errors.Is(err, token.ErrInactive) {
		h.Logger.DebugContext(ctx, "a token is not active", "issuer", iss.URL, "audiences", audiences, "reason", err)
		return response{}, nil
	}
	if err != nil {
		return response{}, errUnknown(err)
	}
	if audiences = a.Counting(iss, audiences); len(audiences) == 0 {
		return response{}, nil
	}
	return describe(iss, a, audiences), nil
}

func describe(iss *registry.Issuer, a *token.Active, audiences []string) response {
	answer := response{
		Active:    true,
		Issuer:    iss.URL,
		Audience:  audiences,
		Subject:   a.Subject,
		ClientID:  a.ClientID,
		Scope:     oauth.JoinScope(a.CountingScopes(iss, audiences)),
		TokenType: oauth.TokenTypeBearer,
		ID:        a.ID,
		IssuedAt:  a.IssuedAt.Unix(),
		ExpiresAt: a.ExpiresAt.Unix(),
		Actor:     a.Actor(),
	}
	if a.User != nil {
		answer.AuthTime = a.AuthTime.Unix()
		if a.Client.Sector == "" { // else two sectors would know by the name that it is the same user
			answer.Username = a.User.Name
		}
	}
	return answer
}

// errUnknown is told when it can't be said whether a token is active.
func errUnknown(err error) *oauth.Error {
	return oauth.Errorf(oauth.TemporarilyUnavailable, "the token could not be checked; try again").Wrap(err)
}
