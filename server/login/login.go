// Package login is the page on which users of the cluster sign in with a password.
package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/login/password"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/throttle"
	"github.com/latchkey-io/latchkey/server/ui"
)

// busyRetry is when to come back after too many passwords were waiting to be verified.
const busyRetry = 2 * time.Second

// Config is what a Handler needs. All of it is required.
type Config struct {
	Pages    *ui.Pages
	Sessions session.Loader
	Now      func() time.Time
	// Logger takes the audit event sign_in, and failures.
	Logger *slog.Logger
	// Source says where a request comes from, for the limits on guessing.
	Source func(*http.Request) netip.Addr
}

// Handler serves /login.
type Handler struct {
	Config
	verifier *password.Verifier
	limiter  *throttle.Limiter
}

// New makes a Handler.
func New(c Config) *Handler {
	return &Handler{Config: c, verifier: password.NewVerifier(), limiter: throttle.New(c.Now)}
}

// visit is a browser's visit to the page on an errand.
type visit struct {
	interaction.Errand
	interaction.Visitor
}

// Serve shows the page, or takes what was filled in. It only ever leads back to where the errand comes from. An error it
// returns belongs on a page.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	visitor, err := interaction.NewVisitor(h.Sessions, r, iss, h.Now())
	if err != nil {
		return err
	}
	v := &visit{Visitor: visitor}
	v.Errand, err = interaction.OpenErrand(r, v.Visitor)
	var stale *interaction.StaleError
	switch {
	case errors.As(err, &stale) && r.Method != http.MethodPost && v.Browser.Session != nil && stale.RestartURL != "":
		// Signed in meanwhile, in another tab or before the "back" button: no need to say so.
		interaction.Redirect(w, stale.RestartURL)
		return nil
	case err != nil:
		return interaction.ShowStale(w, h.Pages, iss, err)
	}
	if !v.Current() { // where it comes from will say what is wrong to whom it concerns
		interaction.Redirect(w, v.RestartURL(iss))
		return nil
	}
	page, err := v.LoginPage(iss)
	if err != nil {
		return err
	}
	page.Action = iss.Endpoint("/login") + "?" + r.URL.RawQuery // the seal that has just been opened
	if r.Method == http.MethodPost {
		return h.signIn(w, r, v, page)
	}
	return h.Pages.Login(w, http.StatusOK, page)
}

// again shows the page again after an attempt, and why.
func (h *Handler) again(w http.ResponseWriter, status int, page ui.LoginPage, problem string, retry time.Duration) error {
	page.Problem, page.RetryAfter = problem, retry
	return h.Pages.Login(w, status, page)
}

// signIn takes a username and a password.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request, v *visit, page ui.LoginPage) error {
	form, err := oauth.ParseBody(r)
	if err != nil {
		return err
	}
	username := strings.TrimSpace(form.Get("username")) // keyboards of phones add a blank
	secret := form.Get("password")
	page.Username = username
	if username == "" || secret == "" {
		return h.again(w, http.StatusUnprocessableEntity, page, ui.ProblemMissing, 0)
	}
	attempt := throttle.Attempt{Issuer: v.Issuer.URL, User: username, Source: h.Source(r)}
	if retry, ok := h.limiter.Allow(attempt); !ok {
		h.audit(r.Context(), v, attempt, "throttled")
		return h.again(w, http.StatusTooManyRequests, page, ui.ProblemThrottled, retry)
	}
	user, err := h.authenticate(r.Context(), v.Issuer, username, secret)
	switch {
	case errors.Is(err, password.ErrTooBusy):
		h.limiter.Release(attempt)
		return h.again(w, http.StatusServiceUnavailable, page, ui.ProblemBusy, busyRetry)
	case err != nil:
		h.limiter.Release(attempt)
		return err
	case user == nil:
		h.audit(r.Context(), v, attempt, "failed")
		return h.again(w, http.StatusUnprocessableEntity, page, ui.ProblemCredentials, 0)
	}
	h.limiter.Success(attempt)
	return h.admit(w, r, v, attempt, user)
}

// authenticate returns the user with that name and password, nil when there is none. For a user who is not there it does
// the same work. A hash that can't be used is told to the log alone: the page must not tell that the user exists.
func (h *Handler) authenticate(ctx context.Context, iss *registry.Issuer, username, secret string) (*registry.User, error) {
	user, ok := iss.Users.Get(username)
	if !ok {
		user = &registry.User{Name: username}
	}
	match, err := h.verifier.Verify(ctx, username, user.PasswordHash, secret)
	switch {
	case errors.Is(err, password.ErrTooBusy) || ctx.Err() != nil:
		return nil, err
	case err != nil:
		h.Logger.Error("a password could not be verified", "issuer", iss.URL, "error", err)
		return nil, nil
	case !match || !ok:
		return nil, nil
	}
	return user, nil
}

// admit gives the browser a new session and leads it back.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, v *visit, attempt throttle.Attempt, user *registry.User) error {
	var err error
	if v.Browser, err = session.SignIn(w, v.Issuer, user, v.Now); err != nil {
		return err
	}
	location, err := v.AfterLogin(v.Visitor)
	if err != nil {
		return err
	}
	h.audit(r.Context(), v, attempt, "ok")
	interaction.Redirect(w, location)
	return nil
}

// audit tells of an attempt. A name that is nobody's is left out: people type their password there.
func (h *Handler) audit(ctx context.Context, v *visit, attempt throttle.Attempt, result string) {
	attrs := []slog.Attr{slog.String("result", result), slog.String("source", attempt.Source.String())}
	if user, ok := v.Issuer.Users.Get(attempt.User); ok {
		attrs = append(attrs, slog.String("user", user.Name))
	}
	h.Logger.LogAttrs(ctx, slog.LevelInfo, "audit", v.Audit(v.Issuer, "sign_in", attrs...)...)
}
