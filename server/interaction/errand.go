package interaction

import (
	"log/slog"
	"net/http"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/ui"
)

// Errand is what a browser is asked to sign in for: an authorization request is one. The sign-in page is the same for all of
// them, and leads back to where the errand says.
type Errand interface {
	// Current says whether the errand still makes sense in the world as it is now. One that does not begins anew, and is told
	// there what is wrong.
	Current() bool
	// LoginPage is the sign-in page as it is first shown, without its Action.
	LoginPage(iss *registry.Issuer) (ui.LoginPage, error)
	// AfterLogin is where the visitor goes on who has just signed in.
	AfterLogin(v Visitor) (string, error)
	// RestartURL begins the errand anew.
	RestartURL(iss *registry.Issuer) string
	// Audit is what the audit events of the errand have in common, with those attributes.
	Audit(iss *registry.Issuer, event string, attrs ...slog.Attr) []slog.Attr
}

// OpenErrand returns what the browser is at the sign-in page for. The errors are those of Open.
func OpenErrand(r *http.Request, v Visitor) (Errand, error) {
	if CarriesDevice(r, DeviceLogin) {
		device, err := OpenDevice(r, DeviceLogin, v)
		if err != nil {
			return nil, err
		}
		return device, nil
	}
	request, err := Open(r, Login, v)
	if err != nil { // a nil *Request is no nil Errand
		return nil, err
	}
	return request, nil
}

// Current implements Errand.
func (r *Request) Current() bool { return r.Validate() == nil }

// LoginPage implements Errand.
func (r *Request) LoginPage(iss *registry.Issuer) (ui.LoginPage, error) {
	chrome, err := r.Chrome(iss)
	return ui.LoginPage{
		Chrome: chrome, ClientName: r.Client.DisplayName, ClientHost: ui.RedirectHost(r.RedirectURI), Username: r.LoginHint(),
	}, err
}

// AfterLogin implements Errand. What was decided before is forgotten: it was the decision of whoever was signed in then.
func (r *Request) AfterLogin(v Visitor) (string, error) {
	undecided := *r
	undecided.Shown, undecided.Decision = "", ""
	return undecided.URL(Authorize, v)
}
