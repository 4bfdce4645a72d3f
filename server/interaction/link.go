package interaction

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// Link leads a browser from one page to the next, and carries what the next has to know: sealed, in the URL, for that step and that
// browser alone, and not for long. Nothing is kept in the server.
type Link struct {
	// Path is the endpoint, below the issuer.
	Path string
	// Parameter is the query parameter that carries the seal. It stands alone.
	Parameter string
	// Purpose tells the seals of one step from those of any other.
	Purpose string
	// Lifetime is how long a person may take.
	Lifetime time.Duration
	// MaxLength bounds the URL, in bytes.
	MaxLength int
	// AnyBrowser: the link is not bound to a browser, for nothing on it is about one.
	AnyBrowser bool
}

// envelope is what is sealed.
type envelope struct {
	Body      any    `json:"v"`
	Browser   string `json:"b,omitempty"` // session.Browser.Binding
	ExpiresAt int64  `json:"e"`           // Unix milliseconds
}

// URL makes the link for a visitor.
func (l Link) URL(v Visitor, body any) (string, error) {
	e := envelope{Body: body, ExpiresAt: v.Now.Add(l.Lifetime).UnixMilli()}
	if !l.AnyBrowser {
		if e.Browser = v.Browser.Binding(); e.Browser == "" {
			return "", fmt.Errorf("interaction: nothing to bind %s to", l.Purpose)
		}
	}
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false) // an escaped & takes six bytes
	if err := enc.Encode(e); err != nil {
		return "", fmt.Errorf("interaction: seal: %w", err)
	}
	seal, err := v.Issuer.Keys.Seal(v.Issuer.URL, l.Purpose, plain.Bytes(), v.Now)
	if err != nil {
		return "", fmt.Errorf("interaction: seal: %w", err)
	}
	u := v.Issuer.Endpoint(l.Path) + "?" + l.Parameter + "=" + seal
	if len(u) > l.MaxLength {
		return "", oauth.Errorf(oauth.InvalidRequest, "the request is too long")
	}
	return u, nil
}

// Carries says whether the HTTP request comes with a seal, good or not.
func (l Link) Carries(r *http.Request) bool {
	return strings.HasPrefix(r.URL.RawQuery, l.Parameter+"=")
}

// Open reads what the URL carries into body. The error is a StaleError when the seal was not made for this step and this visitor. Body
// is set all the same where it was made for another time or browser: what begins anew may be known from it.
func (l Link) Open(r *http.Request, v Visitor, body any) error {
	seal, ok := strings.CutPrefix(r.URL.RawQuery, l.Parameter+"=")
	if !ok || len(seal) > l.MaxLength { // longer than parameters of requests may be, so it has its own bound
		return stale("the link is damaged, or the form does not come from this page")
	}
	plain, err := v.Issuer.Keys.Open(v.Issuer.URL, l.Purpose, seal)
	if err != nil {
		return stale("the link is damaged, or made for another step")
	}
	e := envelope{Body: body}
	if err := json.Unmarshal(plain, &e); err != nil {
		return fmt.Errorf("interaction: open: %w", err)
	}
	switch {
	case !v.Now.Before(time.UnixMilli(e.ExpiresAt)):
		return stale("this page was open for too long")
	case !l.AnyBrowser && (v.Browser.Binding() == "" || subtle.ConstantTimeCompare([]byte(v.Browser.Binding()), []byte(e.Browser)) != 1):
		return stale("this page was made for another browser, or for before or after a sign-in")
	}
	return nil
}

// StaleError says that a seal is not good for this browser or step, or not any more. It unwraps to an oauth.Error with the
// code Forbidden.
type StaleError struct {
	// Reason is for the user.
	Reason *oauth.Error
	// RestartURL begins anew what the seal was about; empty when it doesn't open, so that nothing is known of it.
	RestartURL string
	// RestartLabel says what is begun there; "Start again" when empty.
	RestartLabel string
}

func stale(reason string) error {
	return &StaleError{Reason: oauth.Errorf(oauth.Forbidden, "%s", reason)}
}

func (e *StaleError) Error() string { return e.Reason.Error() }

func (e *StaleError) Unwrap() error { return e.Reason }

// RestartAt gives an error that is a StaleError the URL at which to begin anew.
func RestartAt(err error, restartURL string) error {
	var s *StaleError
	if errors.As(err, &s) {
		s.RestartURL = restartURL
	}
	return err
}
