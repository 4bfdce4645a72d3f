package interaction

import (
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
)

// Visit is a browser's visit to a page with an authorization request.
type Visit struct {
	*Request
	Issuer *registry.Issuer
	// Browser is which browser it is, and who is signed in there.
	Browser session.Browser
	// Now is when.
	Now time.Time
}

// GoOn sends the browser to the next step.
func (v *Visit) GoOn(w http.ResponseWriter, step Step) error {
	location, err := v.URL(v.Issuer, step, v.Browser, v.Now)
	if err != nil {
		return err
	}
	Redirect(w, location)
	return nil
}
