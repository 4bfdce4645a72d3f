package logout

import (
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Bounds, in bytes, on `state` together with the URI it goes to, and on the URL in which both travel.
const (
	maxState = 4096
	maxURL   = 8 << 10
)

// request is a logout request (OpenID Connect RP-Initiated Logout section 2), as far as it was found to be right.
type request struct {
	// ClientID is who asks; empty when nobody says.
	ClientID string `json:"c,omitempty"`
	// RedirectURI is where the user goes afterwards, empty for our own page. It is the client's.
	RedirectURI string `json:"u,omitempty"`
	// State is what the client wants back there.
	State string `json:"s,omitempty"`
	// Hint is what the id_token_hint said, nil when there was none.
	Hint *token.Hint `json:"h,omitempty"`

	client *registry.Client
}

// parse reads the parameters, and finds out who asks. `logout_hint` and `ui_locales` are not needed. An error belongs on a page:
// nothing in the request can be relied on, least of all where it wants the user to be sent.
func parse(iss *registry.Issuer, params url.Values) (*request, error) {
	req := &request{ClientID: params.Get("client_id"), RedirectURI: params.Get("post_logout_redirect_uri"), State: params.Get("state")}
	if len(req.State)+len(req.RedirectURI) > maxState {
		return nil, oauth.Errorf(oauth.InvalidRequest, "state and post_logout_redirect_uri are longer than %d bytes", maxState)
	}
	if raw := params.Get("id_token_hint"); raw != "" {
		hint, err := token.ParseHint(iss, raw)
		if err != nil {
			return nil, oauth.Errorf(oauth.InvalidRequest, "id_token_hint is not an ID token that was issued here").Wrap(err)
		}
		if req.ClientID != "" && req.ClientID != hint.ClientID {
			return nil, oauth.Errorf(oauth.InvalidRequest, "id_token_hint was issued to another client than client_id")
		}
		req.ClientID, req.Hint = hint.ClientID, hint
	}
	return req, req.validate(iss)
}

// validate checks the request against the world as it is now: a redirect URI is one of the client's, character by character. That of a
// client that nobody names is nobody's.
func (q *request) validate(iss *registry.Issuer) error {
	client, known := iss.Client(q.ClientID)
	switch {
	case q.ClientID != "" && !known && (q.Hint == nil || q.RedirectURI != ""):
		return oauth.Errorf(oauth.InvalidRequest, "there is no client with this client_id")
	case q.RedirectURI == "":
		q.client = client
		return nil
	case !known:
		return oauth.Errorf(oauth.InvalidRequest, "post_logout_redirect_uri needs an id_token_hint or a client_id")
	}
	q.client = client
	for _, registered := range client.PostLogoutRedirectURIs {
		if registered.URI == q.RedirectURI {
			return nil
		}
	}
	return oauth.Errorf(oauth.InvalidRequest, "post_logout_redirect_uri is not registered for the client, character by character")
}

// meant says whether the hint is an ID token of this very session. Whoever has that is the client that the user signed in to, or
// was given it by the client; from anybody else a request to sign out is somebody else's idea, and the user is asked.
func (q *request) meant(iss *registry.Issuer, s *session.Session) bool {
	return q.Hint != nil && q.client != nil && q.Hint.SessionID == iss.SessionID(q.client, s.ID) && q.Hint.Subject == iss.Subject(q.client, s.User)
}

// destination is where the user goes when signed out: to the client, with the state and nothing else (section 3), or to the page
// that says so.
func (q *request) destination(iss *registry.Issuer) string {
	if q.RedirectURI == "" {
		return iss.Endpoint(Path)
	}
	if q.State == "" {
		return q.RedirectURI
	}
	separator := "?"
	if strings.Contains(q.RedirectURI, "?") {
		separator = "&"
	}
	return q.RedirectURI + separator + url.Values{"state": {q.State}}.Encode()
}

// chrome frames a page whose form may lead to the client in the end.
func (q *request) chrome(iss *registry.Issuer) (ui.Chrome, error) {
	c := ui.Chrome{IssuerName: iss.DisplayName, IssuerHost: iss.Host, BasePath: iss.Path}
	if q.RedirectURI == "" {
		return c, nil
	}
	origin, err := ui.FormOrigin(q.RedirectURI)
	c.FormOrigins = []string{origin}
	return c, err
}

// step is what a seal is good for.
type step string

const (
	asked     step = "request" // GET /logout: a request that came by POST
	confirmed step = "confirm" // POST /logout: the user's answer to our question
)

func (s step) link() interaction.Link {
	l := interaction.Link{Path: Path, Parameter: string(s), Purpose: "logout/" + string(s), MaxLength: maxURL}
	if s == confirmed {
		l.Lifetime = 30 * time.Minute // for a person; a redirect takes no time
		return l
	}
	l.Lifetime, l.AnyBrowser = 2*time.Minute, true
	return l
}
