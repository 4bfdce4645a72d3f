package authorize

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/ui"
)

// respond sends the browser back to the client with the parameters, the state and the issuer identifier (RFC 6749
// section 4.1.2, RFC 9207 section 2). Only a Request has a redirect URI to go to, and it only exists once that was found
// to be the client's.
func (h *Handler) respond(w http.ResponseWriter, v *interaction.Visit, params url.Values) error {
	params.Set("iss", v.Issuer.URL)
	if v.State != "" {
		params.Set("state", v.State)
	}
	if v.FormPost {
		return h.post(w, v, params)
	}
	interaction.Redirect(w, withQuery(v.RedirectURI, params))
	return nil
}

// post shows the page whose form posts the parameters to the client (OAuth 2.0 Form Post Response Mode section 2).
func (h *Handler) post(w http.ResponseWriter, v *interaction.Visit, params url.Values) error {
	chrome, err := v.Chrome(v.Issuer)
	if err != nil {
		return err
	}
	page := ui.FormPostPage{
		Chrome: chrome, Action: v.RedirectURI, ClientName: v.Client.DisplayName, ClientHost: ui.RedirectHost(v.RedirectURI),
	}
	for _, name := range []string{"code", "error", "error_description", "state", "iss"} {
		if params.Has(name) {
			page.Fields = append(page.Fields, ui.Field{Name: name, Value: params.Get(name)})
		}
	}
	return h.Pages.FormPost(w, page)
}

// withQuery adds parameters to those that a redirect URI has, and leaves these as they are (RFC 6749 section 3.1.2).
func withQuery(uri string, params url.Values) string {
	switch {
	case !strings.Contains(uri, "?"):
		return uri + "?" + params.Encode()
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		return uri + params.Encode()
	}
	return uri + "&" + params.Encode()
}
