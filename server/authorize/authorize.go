// Package authorize is the authorization endpoint (RFC 6749 section 3.1): where an authorization request comes in, where
// each page leads back to, and where it leaves again, with a code or an error.
package authorize

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Config is what a Handler needs. All of it is required.
type Config struct {
	// Pages are for what must not be redirected.
	Pages *ui.Pages
	// Grants remember what users approved.
	Grants   store.Grants
	Sessions session.Loader
	Now      func() time.Time
	// Logger takes the audit events code_issued and code_refused.
	Logger *slog.Logger
}

// Handler serves /authorize.
type Handler struct {
	Config
	recent *interaction.Recent
}

// New makes a Handler.
func New(c Config) *Handler { return &Handler{c, interaction.NewRecent()} }

// Serve takes one step with an authorization request. Nothing is stored by it but cookies in the browser. An error it
// returns belongs on a page.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	if r.Method == http.MethodPost {
		return turnToGet(w, r, iss)
	}
	visitor, err := interaction.NewVisitor(h.Sessions, r, iss, h.Now())
	if err != nil {
		return err
	}
	v := &interaction.Visit{Visitor: visitor}
	if v.Request, err = request(r, v.Visitor); err != nil {
		return interaction.ShowStale(w, h.Pages, iss, err)
	}
	if err := v.Validate(); err != nil {
		return h.refuse(r.Context(), w, v, err)
	}
	verdict, refusal := h.decide(r.Context(), v)
	if refusal != nil {
		return h.refuse(r.Context(), w, v, refusal)
	}
	switch verdict.action {
	case issueCode:
		return h.issue(r.Context(), w, v, verdict)
	case askToConsent:
		return v.GoOn(w, interaction.Consent)
	}
	v.Browser = session.Ensure(w, iss, v.Browser)
	return v.GoOn(w, interaction.Login)
}

// decide says what has to happen next to a valid request. Most go through as the one before them did, under a grant that is still there: that one
// alone is looked at first, and more grants could only say the same.
func (h *Handler) decide(ctx context.Context, v *interaction.Visit) (verdict, *oauth.Error) {
	if recent := h.recent.Remember(ctx, h.Grants, h.Sessions.SignOuts, v); recent != nil {
		if decided, refusal := next(v, memory{Memory: recent}); refusal == nil && decided.asBefore() {
			return decided, nil
		}
	}
	m := h.recall(ctx, v)
	decided, refusal := next(v, m)
	if refusal == nil && decided.asBefore() {
		h.recent.Note(m.Memory, v.Client, decided.granted, v.Browser.Session)
	}
	return decided, refusal
}

// recall looks up what the user approved before. Where that can't be read, nothing is remembered, and it is known why.
func (h *Handler) recall(ctx context.Context, v *interaction.Visit) memory {
	m, err := interaction.Remember(ctx, h.Grants, h.Sessions.SignOuts, v)
	if err != nil {
		h.Logger.ErrorContext(ctx, "what a user approved before could not be read", "issuer", v.Issuer.URL, "client_id", v.Client.ID, "error", err)
	}
	return memory{Memory: m, unknown: err != nil}
}

// turnToGet repeats a posted request as a GET: the session cookie, which is SameSite=Lax, does not come with a form that
// another site posts, but it does with the redirect.
func turnToGet(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	params, err := interaction.Parse(r)
	if err != nil {
		return err
	}
	interaction.Redirect(w, iss.Endpoint("/authorize")+"?"+params.Encode())
	return nil
}

// request is a new request, or the one that the browser carries back from a page.
func request(r *http.Request, v interaction.Visitor) (*interaction.Request, error) {
	if interaction.Carried(r) {
		return interaction.Open(r, interaction.Authorize, v)
	}
	params, err := interaction.Parse(r)
	if err != nil {
		return nil, err
	}
	return interaction.Identify(v.Issuer, params, v.Now)
}

// issue sends the client its code. Nothing is written: the code is all that there is, until it is redeemed.
func (h *Handler) issue(ctx context.Context, w http.ResponseWriter, v *interaction.Visit, verdict verdict) error {
	client, s, granted := v.Client, v.Browser.Session, verdict.granted
	code := &token.Code{
		ID:       token.NewID(),
		ClientID: client.ID, ClientUID: client.UID, RedirectURI: v.RedirectURI, Challenge: v.Challenge,
		User: s.User.Name, UserUID: s.User.UID, SessionID: s.ID, CredentialVersion: s.User.CredentialVersion, AuthTime: s.AuthTime,
		Scopes: granted.Identity, Targets: token.Targets(granted), UserinfoClaims: granted.UserinfoClaims, IDTokenClaims: granted.IDTokenClaims,
		KeepUntil: verdict.keepUntil, Nonce: v.Nonce,
	}
	sealed, err := code.Seal(v.Issuer, v.Now)
	switch {
	case errors.Is(err, token.ErrCodeTooLong):
		return h.refuse(ctx, w, v, oauth.Errorf(oauth.InvalidRequest, "the request is too long for a code: ask for less, or use a shorter nonce").Wrap(err))
	case err != nil:
		return err
	}
	h.Logger.LogAttrs(ctx, slog.LevelInfo, "audit", v.Audit(v.Issuer, "code_issued", slog.String("user", s.User.Name), slog.String("grant", code.ID),
		slog.String("scope", oauth.JoinScope(granted.Scopes())), slog.String("consent", string(verdict.consent)))...)
	return h.respond(w, v, ui.Field{Name: "code", Value: sealed})
}

// refuse tells the client that it gets no code (RFC 6749 section 4.1.2.1).
func (h *Handler) refuse(ctx context.Context, w http.ResponseWriter, v *interaction.Visit, e *oauth.Error) error {
	attrs := []slog.Attr{slog.String("error", string(e.Code)), slog.String("reason", e.Description)}
	if v.Browser.Session != nil {
		attrs = append(attrs, slog.String("user", v.Browser.Session.User.Name))
	}
	h.Logger.LogAttrs(ctx, slog.LevelInfo, "audit", v.Audit(v.Issuer, "code_refused", attrs...)...)
	fields := []ui.Field{{Name: "error", Value: string(e.Code)}}
	if e.Description != "" {
		fields = append(fields, ui.Field{Name: "error_description", Value: oauth.PrintableASCII(e.Description)})
	}
	return h.respond(w, v, fields...)
}
