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
// no other member. Times are in seconds since 1970.
type response struct {
	active                        bool
	issuer, subject               string
	audience                      []string
	username, clientID, scope, id string
	issuedAt, expiresAt           int64
	authTime                      int64 // 0 where no user takes part
	actor                         *token.Actor
}

// object is the response as it is sent.
func (r *response) object() *oauth.Object {
	o := oauth.NewObject()
	o.Bool("active", r.active)
	if !r.active {
		return o
	}
	o.String("iss", r.issuer)
	o.Strings("aud", r.audience)
	o.String("sub", r.subject)
	o.String("username", r.username)
	o.String("client_id", r.clientID)
	o.String("scope", r.scope)
	o.String("token_type", oauth.TokenTypeBearer)
	o.String("jti", r.id)
	o.Number("iat", r.issuedAt)
	o.Number("exp", r.expiresAt)
	if r.authTime != 0 {
		o.Number("auth_time", r.authTime)
	}
	if r.actor != nil {
		o.Any("act", r.actor)
	}
	return o
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
		return h.writeSigned(w, iss, c.audience(asked), answer.object())
	}
	return oauth.WriteObject(w, http.StatusOK, answer.object())
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
		active:    true,
		issuer:    iss.URL,
		audience:  audiences,
		subject:   a.Subject,
		clientID:  a.ClientID,
		scope:     oauth.JoinScope(a.CountingScopes(iss, audiences)),
		id:        a.ID,
		issuedAt:  a.IssuedAt.Unix(),
		expiresAt: a.ExpiresAt.Unix(),
		actor:     a.Actor(),
	}
	if a.User != nil {
		answer.authTime = a.AuthTime.Unix()
		if a.Client.Sector == "" { // else two sectors would know by the name that it is the same user
			answer.username = a.User.Name
		}
	}
	return answer
}

// errUnknown is told when it can't be said whether a token is active.
func errUnknown(err error) *oauth.Error {
	return oauth.Errorf(oauth.TemporarilyUnavailable, "the token could not be checked; try again").Wrap(err)
}
