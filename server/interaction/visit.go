package interaction

import (
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
)

// Visitor is a browser at an issuer, as one HTTP request shows it.
type Visitor struct {
	Issuer *registry.Issuer
	// Browser is which browser it is, and who is signed in there.
	Browser session.Browser
	// Now is when.
	Now time.Time
}

// NewVisitor reads the browser's cookies. The error, which belongs on a page, means that it is not known whether the session is over.
func NewVisitor(sessions session.Loader, r *http.Request, iss *registry.Issuer, now time.Time) (Visitor, error) {
	browser, err := sessions.Load(r, iss, now)
	return Visitor{Issuer: iss, Browser: browser, Now: now}, err
}

// Visit is a visitor with an authorization request.
type Visit struct {
	*Request
	Visitor
}

// GoOn sends the browser to the next step.
func (v *Visit) GoOn(w http.ResponseWriter, step Step) error {
	location, err := v.URL(step, v.Visitor)
	if err != nil {
		return err
	}
	Redirect(w, location)
	return nil
}
