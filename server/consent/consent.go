// Package consent is the page on which a user allows or denies what a client asks for.
package consent

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Config is what a Handler needs. All of it is required.
type Config struct {
	Pages *ui.Pages
	Now   func() time.Time
	// Logger takes the audit event consent.
	Logger *slog.Logger
}

// Handler serves /consent.
type Handler struct{ Config }

// New makes a Handler.
func New(c Config) *Handler { return &Handler{c} }

// Serve shows what the client asks for, or takes the user's decision. It only ever leads back to /authorize. An error it
// returns belongs on a page.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	now := h.Now()
	v := &interaction.Visit{Issuer: iss, Browser: session.Load(r, iss, now), Now: now}
	step := interaction.Consent
	if r.Method == http.MethodPost {
		step = interaction.Approval
	}
	var err error
	if v.Request, err = interaction.Open(r, iss, step, v.Browser, v.Now); err != nil {
		return interaction.ShowStale(w, h.Pages, iss, err)
	}
	if v.Validate() != nil || v.Browser.Session == nil { // /authorize will see what has to be done
		interaction.Redirect(w, v.RestartURL(iss))
		return nil
	}
	if r.Method == http.MethodPost {
		return h.decide(w, r, v)
	}
	return h.show(w, v)
}

// show writes the page. Its form carries the digest of what is on it: that, and nothing else, is what can be allowed.
func (h *Handler) show(w http.ResponseWriter, v *interaction.Visit) error {
	user := v.Browser.Session.User
	permitted, refusal := v.Ask.PermittedTo(user)
	if refusal != nil { // since /authorize looked; it will look again
		interaction.Redirect(w, v.RestartURL(v.Issuer))
		return nil
	}
	v.Shown = permitted.Digest(v.Client)
	action, err := v.URL(v.Issuer, interaction.Approval, v.Browser, v.Now)
	if err != nil {
		return err
	}
	page, err := pageFor(v, permitted)
	if err != nil {
		return err
	}
	page.Action = action
	return h.Pages.Consent(w, http.StatusOK, page)
}

func pageFor(v *interaction.Visit, permitted *registry.Ask) (ui.ConsentPage, error) {
	chrome, err := v.Chrome(v.Issuer)
	if err != nil {
		return ui.ConsentPage{}, err
	}
	user := v.Browser.Session.User
	page := ui.ConsentPage{
		Chrome: chrome, ClientName: v.Client.DisplayName, ClientID: v.Client.ID, RedirectHost: ui.RedirectHost(v.RedirectURI),
		UserName: user.Name, UserDisplayName: user.DisplayName, SwitchUserURL: v.SwitchUserURL(v.Issuer),
	}
	for _, name := range permitted.Identity {
		page.Identity = append(page.Identity, ui.IdentityScope(name))
	}
	for _, t := range permitted.Targets {
		resource := ui.ConsentResource{Name: t.Resource.DisplayName, Identifier: t.Resource.Identifier}
		for _, s := range t.Scopes {
			resource.Scopes = append(resource.Scopes, ui.ScopeLine{Name: s.Name, Description: s.Description})
		}
		page.Resources = append(page.Resources, resource)
	}
	return page, nil
}

// decide takes the user's decision back to /authorize, which acts on it.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request, v *interaction.Visit) error {
	form, err := oauth.ParseBody(r)
	if err != nil {
		return err
	}
	switch decision := interaction.Decision(form.Get("decision")); decision {
	case interaction.Allow, interaction.Deny:
		v.Decision = decision
	default:
		return oauth.Errorf(oauth.InvalidRequest, "decision must be allow or deny")
	}
	h.Logger.LogAttrs(r.Context(), slog.LevelInfo, "audit", v.Audit(v.Issuer, "consent", slog.String("result", string(v.Decision)),
		slog.String("user", v.Browser.Session.User.Name), slog.String("requested_scope", oauth.JoinScope(v.Ask.Scopes())))...)
	return v.GoOn(w, interaction.Authorize)
}
