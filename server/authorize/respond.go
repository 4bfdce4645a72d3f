package authorize

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/ui"
)

// respond sends the browser back to the client with the fields, the state and the issuer identifier (RFC 6749 section 4.1.2,
// RFC 9207 section 2). Only a Request has a redirect URI to go to, and it only exists once that was found to be the client's.
func (h *Handler) respond(w http.ResponseWriter, v *interaction.Visit, fields ...ui.Field) error {
	if v.State != "" {
		fields = append(fields, ui.Field{Name: "state", Value: v.State})
	}
	fields = append(fields, ui.Field{Name: "iss", Value: v.Issuer.URL})
	if v.FormPost {
		return h.post(w, v, fields)
	}
	interaction.Redirect(w, withQuery(v.RedirectURI, fields))
	return nil
}

// post shows the page whose form posts the fields to the client (OAuth 2.0 Form Post Response Mode section 2).
func (h *Handler) post(w http.ResponseWriter, v *interaction.Visit, fields []ui.Field) error {
	chrome, err := v.Chrome(v.Issuer)
	if err != nil {
		return err
	}
	return h.Pages.FormPost(w, ui.FormPostPage{
		Chrome: chrome, Action: v.RedirectURI, ClientName: v.Client.DisplayName, ClientHost: ui.RedirectHost(v.RedirectURI), Fields: fields,
	})
}

// withQuery adds fields to those that a redirect URI has, and leaves these as they are (RFC 6749 section 3.1.2).
func withQuery(uri string, fields []ui.Field) string {
	var b strings.Builder
	length := len(uri)
	for _, f := range fields {
		length += len(f.Name) + len(f.Value) + 16 // and some room for what is escaped
	}
	b.Grow(length)
	b.WriteString(uri)
	separator := byte('?')
	if strings.Contains(uri, "?") {
		separator = '&'
	}
	joined := strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&")
	for _, f := range fields {
		if !joined {
			b.WriteByte(separator)
		}
		separator, joined = '&', false
		b.WriteString(f.Name)
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(f.Value))
	}
	return b.String()
}
