package authorize

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
)

// respond sends the browser back to the client with the parameters, the state and the issuer identifier (RFC 6749
// section 4.1.2, RFC 9207 section 2). Only a Request has a redirect URI to go to, and it only exists once that was found
// to be the client's.
func respond(w http.ResponseWriter, v *interaction.Visit, params url.Values) {
	params.Set("iss", v.Issuer.URL)
	if v.State != "" {
		params.Set("state", v.State)
	}
	interaction.Redirect(w, withQuery(v.RedirectURI, params))
}

// respondError tells the client of an error (RFC 6749 section 4.1.2.1).
func respondError(w http.ResponseWriter, v *interaction.Visit, e *oauth.Error) {
	params := url.Values{"error": {string(e.Code)}}
	if e.Description != "" {
		params.Set("error_description", oauth.PrintableASCII(e.Description))
	}
	respond(w, v, params)
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
