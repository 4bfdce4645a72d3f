package device

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/ui"
)

// ask shows who asks for what: the one moment at which a user who was led here by somebody else can notice it (RFC 8628 section
// 5.4). The form carries the digest of what is on the page: that, and nothing else, is what can be allowed.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request, v *visit) error {
	if v.Browser.Session == nil {
		return v.goOn(w, interaction.DeviceLogin)
	}
	f, err := h.find(r.Context(), v)
	switch {
	case errors.Is(err, errNotValid):
		return h.notValid(w, r, v, shown(v.UserCode))
	case err != nil:
		return err
	}
	permitted, refusal := f.ask.PermittedTo(v.Browser.Session.User)
	if refusal != nil {
		return h.Pages.Error(w, http.StatusForbidden, ui.ErrorPage{
			Chrome: v.chrome(), Code: string(refusal.Code), Description: refusal.Description, RestartURL: v.SwitchUserURL(v.Issuer),
		})
	}
	form := &interaction.Device{UserCode: v.UserCode, ID: f.ID, Shown: permitted.Digest(f.client)}
	action, err := form.URL(interaction.DeviceDecision, v.Visitor)
	if err != nil {
		return err
	}
	return h.Pages.DeviceConsent(w, http.StatusOK, v.page(f, permitted, action))
}

func (v *visit) page(f *found, permitted *registry.Ask, action string) ui.DeviceConsentPage {
	user := v.Browser.Session.User
	page := ui.DeviceConsentPage{
		ConsentPage: ui.Proposed(permitted, nil), ClientNamespace: f.client.Namespace, UserCode: shown(v.UserCode), Source: f.Source,
	}
	page.Chrome, page.Action, page.ClientName, page.ClientID = v.chrome(), action, f.client.DisplayName, f.client.ID
	page.UserName, page.UserDisplayName, page.SwitchUserURL = user.Name, user.DisplayName, v.SwitchUserURL(v.Issuer)
	return page
}

// decide writes the user's decision down.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request, v *visit) error {
	form, err := oauth.ParseBody(r)
	if err != nil {
		return err
	}
	v.Decision = interaction.Decision(form.Get("decision"))
	if v.Decision != interaction.Allow && v.Decision != interaction.Deny {
		return oauth.Errorf(oauth.InvalidRequest, "decision must be allow or deny")
	}
	f, err := h.find(r.Context(), v)
	switch {
	case errors.Is(err, errNotValid):
		return h.decidedBefore(w, r, v)
	case err != nil:
		return err
	}
	// What the user allowed is what was shown: when that is not what may be granted by now, the user is asked again.
	permitted, refusal := f.ask.PermittedTo(v.Browser.Session.User)
	if f.ID != v.ID || v.Decision == interaction.Allow && (refusal != nil || v.Shown != permitted.Digest(f.client)) {
		return (&visit{&interaction.Device{UserCode: v.UserCode}, v.Visitor}).goOn(w, interaction.DeviceConsent)
	}
	switch err := h.Devices.Decide(r.Context(), f.Name, f.ID, v.decision(permitted)); {
	case errors.Is(err, store.ErrDecided), errors.Is(err, store.ErrNotFound):
		return h.notValid(w, r, v, shown(v.UserCode))
	case err != nil:
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the decision could not be stored; try again").Wrap(err)
	}
	h.audit(r.Context(), v, "device_decision", slog.String("result", string(v.Decision)), slog.String("client_id", f.client.ID),
		slog.String("grant", f.ID), slog.String("requested_scope", oauth.JoinScope(f.ask.Scopes())))
	return v.end(w, f.client)
}

// end sends the browser to the last page.
func (v *visit) end(w http.ResponseWriter, client *registry.Client) error {
	v.Device = &interaction.Device{Decision: v.Decision, Client: client.DisplayName}
	if v.Client == "" {
		v.Client = client.ID
	}
	return v.goOn(w, interaction.DeviceDone)
}

// decidedBefore answers a form that is sent twice with the end that the first time led to; anything else that is not valid by now as
// such.
func (h *Handler) decidedBefore(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := h.Devices.Get(r.Context(), v.Issuer.Keys.UserCodeID(v.UserCode))
	if err == nil && d.ID == v.ID && d.Decision != nil && d.Decision.Says(v.decision(nil)) {
		if client, ok := v.Issuer.Client(d.ClientID); ok {
			return v.end(w, client)
		}
	}
	return h.notValid(w, r, v, shown(v.UserCode))
}

// decision is what is stored; permitted is what may be allowed.
func (v *visit) decision(permitted *registry.Ask) *store.Decision {
	s := v.Browser.Session
	d := &store.Decision{
		Approved: v.Decision == interaction.Allow, At: v.Now.UTC().Truncate(time.Second),
		User: s.User.Name, UserUID: s.User.UID, SessionID: s.ID, CredentialVersion: s.User.CredentialVersion,
		AuthTime: s.AuthTime.UTC().Truncate(time.Second),
	}
	if d.Approved && permitted != nil {
		d.Scopes, d.Targets = permitted.Identity, token.Targets(permitted)
	}
	return d
}

// done tells of the end.
func (h *Handler) done(w http.ResponseWriter, _ *http.Request, v *visit) error {
	return h.Pages.DeviceDecision(w, http.StatusOK, ui.DeviceDecisionPage{
		Chrome: v.chrome(), Allowed: v.Decision == interaction.Allow, ClientName: v.Client,
	})
}
