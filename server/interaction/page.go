package interaction

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Chrome frames a page of this request. Its form may lead to the redirect URI in the end, and from there to wherever else the
// client is at home: Chromium applies CSP form-action to every redirect that follows a form, the client's own too.
func (r *Request) Chrome(iss *registry.Issuer) (ui.Chrome, error) {
	origin, err := ui.FormOrigin(r.RedirectURI)
	if err != nil {
		return ui.Chrome{}, err
	}
	c := chrome(iss)
	c.FormOrigins = append([]string{origin}, origins(r.Client, origin)...)
	return c, nil
}

// origins are the web origins that the client declares, but for the one.
func origins(client *registry.Client, but string) []string {
	seen, found := map[string]bool{but: true}, []string(nil)
	for _, uri := range slices.Concat(client.RedirectURIs, client.PostLogoutRedirectURIs) {
		origin, err := ui.FormOrigin(uri.URI)
		if err != nil || seen[origin] || !strings.Contains(origin, "://") { // a scheme alone would be any host
			continue
		}
		seen[origin] = true
		found = append(found, origin)
	}
	return found
}

func chrome(iss *registry.Issuer) ui.Chrome {
	return ui.Chrome{IssuerName: iss.DisplayName, IssuerHost: iss.Host, BasePath: iss.Path}
}

// ShowStale answers a StaleError with a page from which the user can begin again, so that a second tab is no dead end. Any
// other error is returned as it is.
func ShowStale(w http.ResponseWriter, pages *ui.Pages, iss *registry.Issuer, err error) error {
	var s *StaleError
	if !errors.As(err, &s) {
		return err
	}
	return pages.Error(w, s.Reason.Code.Status(), ui.ErrorPage{
		Chrome: chrome(iss), Code: string(s.Reason.Code), Description: s.Reason.Description, RestartURL: s.RestartURL, RestartLabel: s.RestartLabel,
	})
}

// Redirect sends the browser on with a GET: 303, never 307, which would send it there with the form it has just posted,
// password included (RFC 9700 section 4.12).
func Redirect(w http.ResponseWriter, location string) {
	oauth.NoStore(w.Header())
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// Audit is what the audit events of this request have in common.
func (r *Request) Audit(iss *registry.Issuer, event string, attrs ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{
		slog.String("event", event), slog.String("issuer", iss.URL), slog.String("client_id", r.Client.ID),
	}, attrs...)
}
