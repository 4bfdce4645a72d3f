// Package device is the device authorization grant (RFC 8628): the endpoint at which a device begins, and the page on which
// its user enters the code that it shows, and allows or denies what it asks for. What the device gets in the end is package
// grant's business.
//
// A code is looked up for somebody who is signed in, and for nobody else: codes can't be tried out without an account. It is
// entered before the sign-in all the same, as people expect.
package device

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/throttle"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Config is what a Handler needs. All of it is required.
type Config struct {
	Pages    *ui.Pages
	Devices  store.Devices
	Sessions session.Loader
	Now      func() time.Time
	// Logger takes the audit events device_code and device_decision.
	Logger *slog.Logger
	// Source says where a request comes from, for the limits on guessing.
	Source func(*http.Request) netip.Addr
}

// Handler serves /device.
type Handler struct {
	Config
	limiter *throttle.Limiter
}

// New makes a Handler.
func New(c Config) *Handler { return &Handler{Config: c, limiter: throttle.New(c.Now)} }

// visit is a browser's visit to the page.
type visit struct {
	*interaction.Device
	interaction.Visitor
}

// Serve takes one step on the way from a code to a decision: asks for the code, takes it, shows what is asked for, takes the
// decision, tells of the end. An error it returns belongs on a page.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	visitor, err := interaction.NewVisitor(h.Sessions, r, iss, h.Now())
	if err != nil {
		return err
	}
	v := &visit{Device: &interaction.Device{}, Visitor: visitor}
	step, serve := h.step(r)
	if step == "" {
		return h.begin(w, r, v)
	}
	if v.Device, err = interaction.OpenDevice(r, step, v.Visitor); err != nil {
		return h.refuse(w, r, v, err)
	}
	return serve(w, r, v)
}

// step is what the request is about, and what serves it; no step for a browser that has not begun.
func (h *Handler) step(r *http.Request) (interaction.DeviceStep, func(http.ResponseWriter, *http.Request, *visit) error) {
	if r.Method == http.MethodPost {
		if interaction.CarriesDevice(r, interaction.DeviceDecision) {
			return interaction.DeviceDecision, h.decide
		}
		return interaction.DeviceEntry, h.enter
	}
	if interaction.CarriesDevice(r, interaction.DeviceConsent) {
		return interaction.DeviceConsent, h.ask
	}
	if interaction.CarriesDevice(r, interaction.DeviceDone) {
		return interaction.DeviceDone, h.done
	}
	return "", nil
}

// refuse answers a seal that is not good. Who only looks begins anew; a form that was posted gets a 403.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, v *visit, err error) error {
	var stale *interaction.StaleError
	if errors.As(err, &stale) && r.Method != http.MethodPost {
		interaction.Redirect(w, stale.RestartURL)
		return nil
	}
	return interaction.ShowStale(w, h.Pages, v.Issuer, err)
}

// begin asks for the code. A link may have filled it in (RFC 8628 section 3.3.1), but only a person sends it: who follows a link
// of somebody else's must see what it leads to.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, v *visit) error {
	query, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	v.SwitchUser = query.Get(interaction.SwitchUserParameter) == "true"
	return h.askForCode(w, v, http.StatusOK, ui.DevicePage{UserCode: query.Get(interaction.UserCodeParameter)})
}

// askForCode writes the page for the code, again after an attempt; page holds what differs from one time to the other.
func (h *Handler) askForCode(w http.ResponseWriter, v *visit, status int, page ui.DevicePage) error {
	v.Browser = session.Ensure(w, v.Issuer, v.Browser)
	var err error
	if page.Action, err = (&interaction.Device{SwitchUser: v.SwitchUser}).URL(interaction.DeviceEntry, v.Visitor); err != nil {
		return err
	}
	page.Chrome = v.chrome()
	if code, ok := plain(page.UserCode); ok {
		page.UserCode = shown(code)
	}
	page.UserCode = string([]rune(page.UserCode)[:min(len([]rune(page.UserCode)), page.MaxUserCode())])
	return h.Pages.Device(w, status, page)
}

func (v *visit) chrome() ui.Chrome {
	return ui.Chrome{IssuerName: v.Issuer.DisplayName, IssuerHost: v.Issuer.Host, BasePath: v.Issuer.Path}
}

// enter takes a code. For somebody who is signed in it is looked up now, for others after the sign-in.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, v *visit) error {
	form, err := oauth.ParseBody(r)
	if err != nil {
		return err
	}
	typed := form.Get("user_code")
	if typed == "" {
		return h.askForCode(w, v, http.StatusUnprocessableEntity, ui.DevicePage{Problem: ui.ProblemUserCodeMissing})
	}
	attempt := v.attempt(h.Source(r))
	if retry, ok := h.limiter.Allow(attempt); !ok {
		h.audit(r.Context(), v, "device_code", slog.String("result", "throttled"), slog.String("source", attempt.Source.String()))
		return h.askForCode(w, v, http.StatusTooManyRequests, ui.DevicePage{UserCode: typed, Problem: ui.ProblemUserCodeThrottled, RetryAfter: retry})
	}
	code, ok := plain(typed)
	if !ok {
		return h.notValid(w, r, v, typed)
	}
	v.UserCode = code
	if v.Browser.Session == nil || v.SwitchUser {
		return v.goOn(w, interaction.DeviceLogin)
	}
	switch _, err := h.find(r.Context(), v); {
	case errors.Is(err, errNotValid):
		return h.notValid(w, r, v, typed)
	case err != nil:
		h.limiter.Release(attempt)
		return err
	}
	h.limiter.Release(attempt)
	return v.goOn(w, interaction.DeviceConsent)
}

// attempt is what a code that is entered counts against: the session, or what there is of one before sign-in, and the source. A
// right code of somebody who is signed in is taken back, but no wrong one is forgiven for it: who guesses may have right ones too.
func (v *visit) attempt(source netip.Addr) throttle.Attempt {
	who := "browser " + v.Browser.Binding()
	if v.Browser.Session != nil {
		who = "user " + v.Browser.Session.User.UID
	}
	return throttle.Attempt{Issuer: v.Issuer.URL, User: who, Source: source}
}

// notValid asks for a code again, in the same words whatever is wrong with the one that was entered.
func (h *Handler) notValid(w http.ResponseWriter, r *http.Request, v *visit, typed string) error {
	h.audit(r.Context(), v, "device_code", slog.String("result", "not valid"), slog.String("source", h.Source(r).String()))
	return h.askForCode(w, v, http.StatusUnprocessableEntity, ui.DevicePage{UserCode: typed, Problem: ui.ProblemUserCode})
}

func (v *visit) goOn(w http.ResponseWriter, step interaction.DeviceStep) error {
	v.Browser = session.Ensure(w, v.Issuer, v.Browser)
	location, err := v.URL(step, v.Visitor)
	if err != nil {
		return err
	}
	interaction.Redirect(w, location)
	return nil
}

// errNotValid is told for all that is wrong with a code itself: that there is none such, that it has expired or been used, that
// its client is gone or may not ask for as much any more.
var errNotValid = errors.New("device: the code is not valid")

// found is a request that waits for the user.
type found struct {
	*store.Device
	client *registry.Client
	ask    *registry.Ask
}

// find looks the user code up.
func (h *Handler) find(ctx context.Context, v *visit) (*found, error) {
	d, err := h.Devices.Get(ctx, v.Issuer.Keys.UserCodeID(v.UserCode))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errNotValid
	case err != nil:
		return nil, oauth.Errorf(oauth.TemporarilyUnavailable, "the code could not be looked up; try again").Wrap(err)
	case d.AuthorizationServer != v.Issuer.Name || !d.Waiting(v.Now):
		return nil, errNotValid
	}
	client, ok := v.Issuer.Client(d.ClientID)
	if !ok || client.UID != d.ClientUID || !slices.Contains(client.GrantTypes, oauth.GrantDeviceCode) {
		return nil, errNotValid
	}
	ask, refusal := asked(client, d)
	if refusal != nil {
		return nil, errNotValid
	}
	return &found{Device: d, client: client, ask: ask}, nil
}

// asked gives what was asked for its meaning again: declarations may have changed since.
func asked(client *registry.Client, d *store.Device) (*registry.Ask, *oauth.Error) {
	scopes := slices.Clone(d.Scopes)
	var resources []string
	for _, t := range d.Targets {
		scopes, resources = append(scopes, t.Scopes...), append(resources, t.Resource)
	}
	slices.Sort(scopes[len(d.Scopes):])
	return registry.Resolve(client, slices.Compact(scopes), resources)
}

// audit tells of a step.
func (h *Handler) audit(ctx context.Context, v *visit, event string, attrs ...slog.Attr) {
	if v.Browser.Session != nil {
		attrs = append(attrs, slog.String("user", v.Browser.Session.User.Name))
	}
	h.Logger.LogAttrs(ctx, slog.LevelInfo, "audit", v.Audit(v.Issuer, event, attrs...)...)
}
