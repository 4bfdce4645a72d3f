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

// NewVisitor reads the browser's cookies.
func NewVisitor(r *http.Request, iss *registry.Issuer, now time.Time) Visitor {
	return Visitor{Issuer: iss, Browser: session.Load(r, iss, now), Now: now}
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
