// Package logout is the end session endpoint (OpenID Connect RP-Initiated Logout): it ends the user's session, after asking unless
// the client shows an ID token of that session, takes back what was granted for its duration, and tells the clients that took
// part in it (OpenID Connect Back-Channel Logout).
package logout

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
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
	iss     *registry.Issuer
	browser session.Browser
	now     time.Time
}

// Serve takes a request to sign out, or the user's answer to the question whether to. An error it returns belongs on a page.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	v := &visit{iss: iss, now: h.Now()}
	v.browser = session.Load(r, iss, v.now)
	switch {
	case r.Method != http.MethodPost:
		return h.begin(w, r, v)
	case confirmed.carries(r):
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
	if v.request, err = parse(v.iss, form); err != nil {
		return "", err
	}
	return v.url(v.iss, asked, "", v.now)
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
		return h.refuse(w, r, v.iss, err)
	}
	s := v.browser.Session
	switch {
	case s == nil && v.RedirectURI == "":
		return h.showSignedOut(w, v)
	case s == nil:
		return v.leave(w)
	case v.meant(v.iss, s):
		return h.signOut(w, r, v, "id_token_hint")
	}
	return h.ask(w, v)
}

// read takes the request out of the query string, or out of the seal of one that was posted.
func (v *visit) read(r *http.Request) error {
	var err error
	if asked.carries(r) {
		v.request, err = v.open(r, asked, "")
		return err
	}
	if len(r.URL.RawQuery) > 2*oauth.MaxParameterLength {
		return oauth.Errorf(oauth.InvalidRequest, "the request is too long")
	}
	params, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	v.request, err = parse(v.iss, params)
	return err
}

// open opens the only parameter there is, which was sealed for the step and the binding. What it holds is validated again.
func (v *visit) open(r *http.Request, s step, binding string) (*request, error) {
	stale := func(reason string) error {
		return &interaction.StaleError{Reason: oauth.Errorf(oauth.Forbidden, "%s", reason), RestartURL: v.iss.Endpoint(Path)}
	}
	body, err := v.iss.Keys.Open(v.iss.URL, s.purpose(), strings.TrimPrefix(r.URL.RawQuery, string(s)+"="))
	if err != nil {
		return nil, stale("the link is damaged, or made for another step")
	}
	var opened sealed
	if err := json.Unmarshal(body, &opened); err != nil || opened.Request == nil {
		return nil, fmt.Errorf("logout: open: %w", err)
	}
	switch {
	case !v.now.Before(time.UnixMilli(opened.ExpiresAt)):
		return nil, stale("this page was open for too long")
	case subtle.ConstantTimeCompare([]byte(binding), []byte(opened.Browser)) != 1:
		return nil, stale("this page was made for another browser, or for before or after a sign-in")
	}
	return opened.Request, opened.Request.validate(v.iss)
}

// ask shows the question.
func (h *Handler) ask(w http.ResponseWriter, v *visit) error {
	action, err := v.url(v.iss, confirmed, v.browser.Binding(), v.now)
	if err != nil {
		return err
	}
	chrome, err := v.chrome(v.iss)
	if err != nil {
		return err
	}
	user := v.browser.Session.User
	page := ui.SignOutPage{Chrome: chrome, Action: action, UserName: user.Name, UserDisplayName: user.DisplayName}
	if v.client != nil {
		page.ClientName, page.ClientID = v.client.DisplayName, v.client.ID
	}
	return h.Pages.SignOut(w, page)
}

// answer does what the user decided. Its form is bound to the session that it asked about: without one there is none to answer.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, v *visit) error {
	var err error
	if v.request, err = v.open(r, confirmed, v.browser.Binding()); err != nil {
		return interaction.ShowStale(w, h.Pages, v.iss, err)
	}
	if v.browser.Session == nil {
		return v.leave(w)
	}
	form, err := oauth.ParseBody(r)
	if err != nil {
		return err
	}
	switch form.Get("decision") {
	case "sign-out":
		return h.signOut(w, r, v, "user")
	case "stay":
		chrome, err := v.chrome(v.iss)
		if err != nil {
			return err
		}
		return h.Pages.SignedOut(w, ui.SignedOutPage{Chrome: chrome, Stayed: true})
	}
	return oauth.Errorf(oauth.InvalidRequest, "decision must be sign-out or stay")
}

// signOut ends the session everywhere, or nowhere: while grants can't be taken back the cookie is kept, so that trying again
// finds them.
func (h *Handler) signOut(w http.ResponseWriter, r *http.Request, v *visit, by string) error {
	if _, err := v.chrome(v.iss); err != nil { // not a place to be sent to
		return err
	}
	s := v.browser.Session
	ended, err := h.end(r.Context(), v.iss, s, v.now)
	attrs := []slog.Attr{
		slog.String("event", "sign_out"), slog.String("issuer", v.iss.URL), slog.String("user", s.User.Name), slog.String("client_id", v.ClientID),
		slog.String("by", by), slog.String("source", h.Source(r).String()), slog.Int("grants_revoked", ended.revoked), slog.Int("clients_told", ended.told),
	}
	if err != nil {
		h.Logger.LogAttrs(r.Context(), slog.LevelError, "audit", append(attrs, slog.String("result", "failed"), slog.String("reason", err.Error()))...)
		return oauth.Errorf(oauth.TemporarilyUnavailable, "you are not signed out yet; try again in a moment").Wrap(err)
	}
	h.Logger.LogAttrs(r.Context(), slog.LevelInfo, "audit", append(attrs, slog.String("result", "success"))...)
	session.SignOut(w, v.iss)
	return v.leave(w)
}

func (v *visit) leave(w http.ResponseWriter) error {
	if _, err := v.chrome(v.iss); err != nil {
		return err
	}
	interaction.Redirect(w, v.destination(v.iss))
	return nil
}

func (h *Handler) showSignedOut(w http.ResponseWriter, v *visit) error {
	chrome, err := v.chrome(v.iss)
	if err != nil {
		return err
	}
	return h.Pages.SignedOut(w, ui.SignedOutPage{Chrome: chrome})
}
