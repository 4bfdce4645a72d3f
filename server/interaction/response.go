package interaction

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// readResponse finds out how the client wants to be answered, before anything else is looked at: refusals are answers, too.
func (r *Request) readResponse() {
	mode := r.params.Get("response_mode")
	r.State = r.params.Get("state")
	if object := r.params.Get("request"); object != "" {
		inside := peekRequestObject(object)
		if mode == "" {
			mode = inside["response_mode"]
		}
		if r.State == "" {
			r.State = inside["state"]
		}
	}
	r.FormPost = mode == oauth.ResponseModeFormPost && takesForms(r.RedirectURI)
}

// takesForms says whether a form can be posted to the redirect URI. What an application on a device is handed by its own
// scheme is an address and nothing else.
func takesForms(redirectURI string) bool {
	u, err := url.Parse(redirectURI)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http")
}

// peekRequestObject reads `response_mode` and `state` of a request object (OpenID Connect Core section 6.1), which is about to be
// refused, so that the refusal arrives where the client listens for it. Its signature isn't verified: neither is that of the query
// string, which may say both as well. What can't be read is not there.
func peekRequestObject(object string) map[string]string {
	parts := strings.Split(object, ".")
	if len(parts) != 3 || strings.ContainsAny(parts[1], "\r\n") { // encoding/base64 skips line breaks
		return nil
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return nil
	}
	members, err := parseObject(payload)
	if err != nil {
		return nil
	}
	inside := map[string]string{}
	for _, name := range []string{"response_mode", "state"} {
		var value string
		if json.Unmarshal(members[name], &value) == nil && len(value) <= maxStateLength {
			inside[name] = value
		}
	}
	return inside
}

func (r *Request) checkResponseMode() *oauth.Error {
	switch mode := r.params.Get("response_mode"); {
	case mode == "", mode == oauth.ResponseModeQuery, mode == oauth.ResponseModeFormPost && r.FormPost:
		return nil
	case mode == oauth.ResponseModeFormPost:
		return oauth.Errorf(oauth.InvalidRequest, "response_mode form_post needs an https or http redirect_uri")
	}
	return oauth.Errorf(oauth.InvalidRequest, "response_mode must be query or form_post")
}
