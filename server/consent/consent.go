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
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Config is what a Handler needs. All of it is required.
type Config struct {
	Pages *ui.Pages
	// Grants remember what users approved.
	Grants   store.Grants
	Sessions session.Loader
	Now      func() time.Time
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
	visitor, err := interaction.NewVisitor(h.Sessions, r, iss, h.Now())
	if err != nil {
		return err
	}
	v := &interaction.Visit{Visitor: visitor}
	step := interaction.Consent
	if r.Method == http.MethodPost {
		step = interaction.Approval
	}
	if v.Request, err = interaction.Open(r, step, v.Visitor); err != nil {
		return interaction.ShowStale(w, h.Pages, iss, err)
	}
	if v.Validate() != nil || v.Browser.Session == nil { // /authorize will see what has to be done
		interaction.Redirect(w, v.RestartURL(iss))
		return nil
	}
	if r.Method == http.MethodPost {
		return h.decide(w, r, v)
	}
	return h.show(w, r, v)
}

// show writes the page. Its form carries the digest of what is on it: that, and nothing else, is what can be allowed.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, v *interaction.Visit) error {
	permitted, refusal := v.Ask.PermittedTo(v.Browser.Session.User)
	if refusal != nil { // since /authorize looked; it will look again
		interaction.Redirect(w, v.RestartURL(v.Issuer))
		return nil
	}
	memory, err := interaction.Remember(r.Context(), h.Grants, h.Sessions.SignOuts, v)
	if err != nil { // nothing is known then, and all of it is asked for
		h.Logger.ErrorContext(r.Context(), "what a user approved before could not be read", "issuer", v.Issuer.URL, "client_id", v.Client.ID, "error", err)
	}
	proposal := memory.Propose(v.Client, permitted)
	if proposal.Nothing() { // it was approved meanwhile, in another tab
		return v.GoOn(w, interaction.Authorize)
	}
	v.Shown = proposal.Digest(v.Client)
	page, err := pageFor(v, proposal)
	if err != nil {
		return err
	}
	if page.Action, err = v.URL(interaction.Approval, v.Visitor); err != nil {
		return err
	}
	return h.Pages.Consent(w, http.StatusOK, page)
}

func pageFor(v *interaction.Visit, p interaction.Proposal) (ui.ConsentPage, error) {
	chrome, err := v.Chrome(v.Issuer)
	if err != nil {
		return ui.ConsentPage{}, err
	}
	user := v.Browser.Session.User
	page := ui.Proposed(p.New, p.Known)
	page.Chrome, page.ClientName, page.ClientID, page.RedirectHost = chrome, v.Client.DisplayName, v.Client.ID, ui.RedirectHost(v.RedirectURI)
	page.UserName, page.UserDisplayName, page.SwitchUserURL = user.Name, user.DisplayName, v.SwitchUserURL(v.Issuer)
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
