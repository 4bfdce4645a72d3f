package interaction

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
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

func (s Step) purpose() string { return "interaction/" + string(s) }

// sealed is what travels in the URL.
type sealed struct {
	Params    string   `json:"q"` // the original parameters
	Seen      int64    `json:"t"` // Unix milliseconds
	Browser   string   `json:"b"` // session.Browser.Binding
	ExpiresAt int64    `json:"e"` // Unix milliseconds
	Shown     string   `json:"s,omitempty"`
	Decision  Decision `json:"d,omitempty"`
}

// URL is where the browser, and no other, goes on with the request at the step.
func (r *Request) URL(iss *registry.Issuer, step Step, b session.Browser, now time.Time) (string, error) {
	if b.Binding() == "" {
		return "", fmt.Errorf("interaction: nothing to bind the step %s to", step)
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // an escaped & takes six bytes
	err := enc.Encode(sealed{
		Params: r.params.Encode(), Seen: r.Seen.UnixMilli(), Browser: b.Binding(),
		ExpiresAt: now.Add(step.lifetime()).UnixMilli(), Shown: r.Shown, Decision: r.Decision,
	})
	if err != nil {
		return "", fmt.Errorf("interaction: seal: %w", err)
	}
	seal, err := iss.Keys.Seal(iss.URL, step.purpose(), body.Bytes(), now)
	if err != nil {
		return "", fmt.Errorf("interaction: seal: %w", err)
	}
	u := iss.Endpoint(step.path()) + "?" + Parameter + "=" + seal
	if len(u) > maxURLLength {
		return "", oauth.Errorf(oauth.InvalidRequest, "the authorization request is too long")
	}
	return u, nil
}

// StaleError says that a seal is not good for this browser or step, or not any more. It unwraps to an oauth.Error with the
// code Forbidden.
type StaleError struct {
	// Reason is for the user.
	Reason *oauth.Error
	// RestartURL begins the same authorization request anew; empty when the seal doesn't open, so that nothing is known
	// of it.
	RestartURL string
	// RestartLabel says what is begun there; "Start again" when empty.
	RestartLabel string
}

func (e *StaleError) Error() string { return e.Reason.Error() }

func (e *StaleError) Unwrap() error { return e.Reason }

// Carried says whether the HTTP request carries a sealed request, and thus is not a new one.
func Carried(r *http.Request) bool { return strings.HasPrefix(r.URL.RawQuery, Parameter+"=") }

// Open returns the request that the URL carries, which still has to be validated. The error is a StaleError when the seal
// was not made for this step and this browser; any other is about the request itself, and belongs on a page.
func Open(r *http.Request, iss *registry.Issuer, step Step, b session.Browser, now time.Time) (*Request, error) {
	s, err := openSeal(r, iss, step)
	if err != nil {
		return nil, err
	}
	params, err := oauth.ParseQuery(s.Params)
	if err != nil {
		return nil, err
	}
	switch {
	case !now.Before(time.UnixMilli(s.ExpiresAt)):
		return nil, stale("this page was open for too long", restartURL(iss, params))
	case b.Binding() == "" || subtle.ConstantTimeCompare([]byte(b.Binding()), []byte(s.Browser)) != 1:
		return nil, stale("this page was made for another browser, or for before or after a sign-in", restartURL(iss, params))
	}
	request, err := Identify(iss, params, time.UnixMilli(s.Seen).UTC())
	if err != nil {
		return nil, err
	}
	request.Shown, request.Decision = s.Shown, s.Decision
	return request, nil
}

// openSeal opens the only parameter there is. It is longer than parameters of requests may be, so it has its own bound.
func openSeal(r *http.Request, iss *registry.Issuer, step Step) (*sealed, error) {
	seal, ok := strings.CutPrefix(r.URL.RawQuery, Parameter+"=")
	if !ok || len(seal) > maxURLLength {
		return nil, stale("the link is damaged", "")
	}
	body, err := iss.Keys.Open(iss.URL, step.purpose(), seal)
	if err != nil {
		return nil, stale("the link is damaged, or made for another step", "")
	}
	s := &sealed{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("interaction: open: %w", err)
	}
	return s, nil
}

func stale(reason, restart string) *StaleError {
	return &StaleError{Reason: oauth.Errorf(oauth.Forbidden, "%s", reason), RestartURL: restart}
}
