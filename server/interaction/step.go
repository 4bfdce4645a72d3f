package interaction

import (
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// Parameter is the query parameter that carries a seal, at every step. It stands alone.
const Parameter = "interaction"

// maxURLLength bounds a URL with a seal, in bytes: browsers, proxies and servers agree on at least this.
const maxURLLength = 6 << 10

// Step is what a seal is good for, and nothing else.
type Step string

// The steps. All but Authorize are visited at most once; each leads back to Authorize.
const (
	Authorize Step = "authorize" // GET /authorize: go on with the request
	Login     Step = "login"     // GET and POST /login: sign in
	Consent   Step = "consent"   // GET /consent: be shown what is asked for
	Approval  Step = "approval"  // POST /consent: allow or deny what was shown
)

func (s Step) path() string {
	if s == Approval {
		return "/consent"
	}
	return "/" + string(s)
}

// lifetime is how long a person may take; a redirect, which is all that Authorize waits for, takes no time.
func (s Step) lifetime() time.Duration {
	switch s {
	case Login:
		return time.Hour
	case Consent, Approval:
		return 30 * time.Minute
	}
	return 2 * time.Minute
}

func (s Step) link() Link {
	return Link{Path: s.path(), Parameter: Parameter, Purpose: "interaction/" + string(s), Lifetime: s.lifetime(), MaxLength: maxURLLength}
}

// sealed is what travels in the URL.
type sealed struct {
	Params   string   `json:"q"` // the original parameters
	Seen     int64    `json:"t"` // Unix milliseconds
	Shown    string   `json:"s,omitempty"`
	Decision Decision `json:"d,omitempty"`
}

// URL is where the visitor, and nobody else, goes on with the request at the step.
func (r *Request) URL(step Step, v Visitor) (string, error) {
	return step.link().URL(v, sealed{Params: r.params.Encode(), Seen: r.Seen.UnixMilli(), Shown: r.Shown, Decision: r.Decision})
}

// Carried says whether the HTTP request carries a sealed request, and thus is not a new one.
func Carried(r *http.Request) bool { return strings.HasPrefix(r.URL.RawQuery, Parameter+"=") }

// Open returns the request that the URL carries, which still has to be validated. The error is a StaleError when the seal
// was not made for this step and this visitor; any other is about the request itself, and belongs on a page.
func Open(r *http.Request, step Step, v Visitor) (*Request, error) {
	var s sealed
	refused := step.link().Open(r, v, &s)
	if refused != nil && s.Params == "" {
		return nil, refused
	}
	params, err := oauth.ParseQuery(s.Params)
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return nil, RestartAt(refused, restartURL(v.Issuer, params))
	}
	request, err := Identify(v.Issuer, params, time.UnixMilli(s.Seen).UTC())
	if err != nil {
		return nil, err
	}
	request.Shown, request.Decision = s.Shown, s.Decision
	return request, nil
}
