// Package logout is the end session endpoint (OpenID Connect RP-Initiated Logout): it ends the user's session, after asking unless
// the client shows an ID token of that session, takes back what was granted for its duration, and tells the clients that took
// part in it (OpenID Connect Back-Channel Logout).
package logout

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Path is the endpoint, below the issuer.
const Path = "/logout"

// Config is what a Handler needs. All of it is required.
type Config struct {
	Pages    *ui.Pages
	Grants   store.Grants
	SignOuts store.SignOuts
	Sessions session.Loader
	Notifier *Notifier
	Now      func() time.Time
	// Logger takes the audit events sign_out and grant_revoked.
	Logger *slog.Logger
	// Source tells the audit where a request comes from.
	Source func(*http.Request) netip.Addr
}

// Handler serves /logout.
type Handler struct{ Config }

// New makes a Handler.
func New(c Config) *Handler { return &Handler{c} }

// visit is a browser's visit with a request that is right.
type visit struct {
	*request
	interaction.Visitor
}

// Serve takes a request to sign out, or the user's answer to the question whether to. An error it returns belongs on a page.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	visitor, err := interaction.NewVisitor(h.Sessions, r, iss, h.Now())
	if err != nil {
		return err
	}
	v := &visit{Visitor: visitor}
	switch {
	case r.Method != http.MethodPost:
		return h.begin(w, r, v)
	case confirmed.link().Carries(r):
		return h.answer(w, r, v)
	}
	// The cookie doesn't come with a form of another site (SameSite=Lax), but with the redirect to the same address.
	location, err := v.posted(r)
	if err != nil {
		return h.refuse(w, r, iss, err)
	}
	interaction.Redirect(w, location)
	return nil
}

// posted is where a request goes on that came by POST.
func (v *visit) posted(r *http.Request) (string, error) {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return "", err
	}
	if v.request, err = parse(v.Issuer, form); err != nil {
		return "", err
	}
	return asked.link().URL(v.Visitor, v.request)
}

// signOutAnyway leads to signing out without what is wrong with the client's request.
const signOutAnyway = "Sign out without going back"

// refuse shows what is wrong with a request of a client, and lets the user sign out without it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, iss *registry.Issuer, err error) error {
	var e *oauth.Error
	if !errors.As(err, &e) || e.Code != oauth.InvalidRequest {
		return interaction.ShowStale(w, h.Pages, iss, err)
	}
	h.Logger.LogAttrs(r.Context(), slog.LevelInfo, "audit", slog.String("event", "sign_out"), slog.String("issuer", iss.URL),
		slog.String("source", h.Source(r).String()), slog.String("result", "refused"), slog.String("reason", e.Error()))
	return interaction.ShowStale(w, h.Pages, iss, &interaction.StaleError{Reason: e, RestartURL: iss.Endpoint(Path), RestartLabel: signOutAnyway})
}

// begin signs out at once where there is nothing to ask, and asks otherwise.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := v.read(r); err != nil {
		return h.refuse(w, r, v.Issuer, err)
	}
	s := v.Browser.Session
	switch {
	case s == nil && v.RedirectURI == "":
		return h.showSignedOut(w, v)
	case s == nil:
		return v.leave(w)
	case v.meant(v.Issuer, s):
		return h.signOut(w, r, v, "id_token_hint", false)
	}
	return h.ask(w, v)
}

// read takes the request out of the query string, or out of the seal of one that was posted.
func (v *visit) read(r *http.Request) error {
	var err error
	if asked.link().Carries(r) {
		v.request, err = v.open(r, asked)
		return err
	}
	if len(r.URL.RawQuery) > 2*oauth.MaxParameterLength {
		return oauth.Errorf(oauth.InvalidRequest, "the request is too long")
	}
	params, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	v.request, err = parse(v.Issuer, params)
	return err
}

// open returns the request that the URL carries for the step. It is validated again.
func (v *visit) open(r *http.Request, s step) (*request, error) {
	opened := &request{}
	if err := s.link().Open(r, v.Visitor, opened); err != nil {
		return nil, interaction.RestartAt(err, v.Issuer.Endpoint(Path))
	}
	return opened, opened.validate(v.Issuer)
}

// ask shows the question.
func (h *Handler) ask(w http.ResponseWriter, v *visit) error {
	action, err := confirmed.link().URL(v.Visitor, v.request)
	if err != nil {
		return err
	}
	chrome, err := v.chrome(v.Issuer)
	if err != nil {
		return err
	}
	user := v.Browser.Session.User
	page := ui.SignOutPage{Chrome: chrome, Action: action, UserName: user.Name, UserDisplayName: user.DisplayName}
	if v.client != nil {
		page.ClientName, page.ClientID = v.client.DisplayName, v.client.ID
	}
	return h.Pages.SignOut(w, page)
}

// answer does what the user decided. Its form is bound to the session that it asked about: without one there is none to answer.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, v *visit) error {
	var err error
	if v.request, err = v.open(r, confirmed); err != nil {
		return interaction.ShowStale(w, h.Pages, v.Issuer, err)
	}
	if v.Browser.Session == nil {
		return v.leave(w)
	}
	form, err := oauth.ParseBody(r)
	if err != nil {
		return err
	}
	switch form.Get("decision") {
	case "sign-out":
		return h.signOut(w, r, v, "user", false)
	case "sign-out-everywhere":
		return h.signOut(w, r, v, "user", true)
	case "stay":
		chrome, err := v.chrome(v.Issuer)
		if err != nil {
			return err
		}
		return h.Pages.SignedOut(w, ui.SignedOutPage{Chrome: chrome, Stayed: true})
	}
	return oauth.Errorf(oauth.InvalidRequest, "decision must be sign-out, sign-out-everywhere or stay")
}

// signOut ends the session, or everything that the user has here, at every replica or at none: while it can't be written the cookie is
// kept, so that trying again finds what is left to do.
func (h *Handler) signOut(w http.ResponseWriter, r *http.Request, v *visit, by string, everywhere bool) error {
	if _, err := v.chrome(v.Issuer); err != nil { // not a place to be sent to
		return err
	}
	s := v.Browser.Session
	ended, err := h.end(r.Context(), v.Issuer, s, v.Now, everywhere)
	attrs := []slog.Attr{
		slog.String("event", "sign_out"), slog.String("issuer", v.Issuer.URL), slog.String("user", s.User.Name), slog.String("client_id", v.ClientID),
		slog.String("by", by), slog.Bool("everywhere", everywhere), slog.String("source", h.Source(r).String()), slog.Int("grants_revoked", ended.revoked), slog.Int("clients_told", ended.told),
	}
	if err != nil {
		h.Logger.LogAttrs(r.Context(), slog.LevelError, "audit", append(attrs, slog.String("result", "failed"), slog.String("reason", err.Error()))...)
		return oauth.Errorf(oauth.TemporarilyUnavailable, "you are not signed out yet; try again in a moment").Wrap(err)
	}
	h.Logger.LogAttrs(r.Context(), slog.LevelInfo, "audit", append(attrs, slog.String("result", "success"))...)
	session.SignOut(w, v.Issuer)
	return v.leave(w)
}

func (v *visit) leave(w http.ResponseWriter) error {
	if _, err := v.chrome(v.Issuer); err != nil {
		return err
	}
	interaction.Redirect(w, v.destination(v.Issuer))
	return nil
}

func (h *Handler) showSignedOut(w http.ResponseWriter, v *visit) error {
	chrome, err := v.chrome(v.Issuer)
	if err != nil {
		return err
	}
	return h.Pages.SignedOut(w, ui.SignedOutPage{Chrome: chrome})
}
