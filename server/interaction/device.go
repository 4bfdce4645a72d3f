package interaction

import (
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/ui"
)

// DevicePath is the page at which users enter the codes that devices show (RFC 8628 section 3.3).
const DevicePath = "/device"

// DeviceStep is what a seal of Device is good for, and nothing else.
type DeviceStep string

// The steps of a user with a device's code.
const (
	DeviceEntry    DeviceStep = "entry"    // POST /device: enter a code
	DeviceLogin    DeviceStep = "login"    // GET and POST /login: sign in
	DeviceConsent  DeviceStep = "consent"  // GET /device: be shown what is asked for
	DeviceDecision DeviceStep = "decision" // POST /device: allow or deny what was shown
	DeviceDone     DeviceStep = "done"     // GET /device: be told of the end
)

func (s DeviceStep) path() string {
	if s == DeviceLogin {
		return "/login"
	}
	return DevicePath
}

func (s DeviceStep) link() Link {
	return Link{
		Path: s.path(), Parameter: "device-" + string(s), Purpose: "interaction/device/" + string(s), Lifetime: deviceLifetime, MaxLength: maxURLLength,
	}
}

// deviceLifetime is how long a person may take for a step. The code itself lives for less.
const deviceLifetime = time.Hour

// Device is a user's way from a device's code to a decision: what a browser carries from page to page, sealed, as it does a
// Request. Whether there is such a code is no part of it.
type Device struct {
	// UserCode is what the user entered, in its plain form; empty before.
	UserCode string `json:"c,omitempty"`
	// SwitchUser: the user wants to sign in as somebody else.
	SwitchUser bool `json:"u,omitempty"`
	// Shown is the digest of what the user was shown, and ID the device authorization that it belongs to.
	Shown string `json:"s,omitempty"`
	ID    string `json:"i,omitempty"`
	// Decision is what the user made of it, and Client the name of whom it was about.
	Decision Decision `json:"d,omitempty"`
	Client   string   `json:"n,omitempty"`
}

var _ Errand = (*Device)(nil)

// URL is where the visitor, and nobody else, goes on at the step.
func (d *Device) URL(step DeviceStep, v Visitor) (string, error) { return step.link().URL(v, d) }

// CarriesDevice says whether the HTTP request comes with a seal for the step.
func CarriesDevice(r *http.Request, step DeviceStep) bool { return step.link().Carries(r) }

// OpenDevice returns what the URL carries. The error is a StaleError when the seal was not made for this step and this visitor.
func OpenDevice(r *http.Request, step DeviceStep, v Visitor) (*Device, error) {
	d := &Device{}
	if err := step.link().Open(r, v, d); err != nil {
		return nil, RestartAt(err, d.RestartURL(v.Issuer))
	}
	return d, nil
}

// Current implements Errand: what has become of the code is seen after sign-in.
func (d *Device) Current() bool { return true }

// LoginPage implements Errand.
func (d *Device) LoginPage(iss *registry.Issuer) (ui.LoginPage, error) {
	return ui.LoginPage{Chrome: chrome(iss), Purpose: "connect a device"}, nil
}

// AfterLogin implements Errand.
func (d *Device) AfterLogin(v Visitor) (string, error) {
	return (&Device{UserCode: d.UserCode}).URL(DeviceConsent, v)
}

// RestartURL implements Errand: the page for the code, with the code filled in.
func (d *Device) RestartURL(iss *registry.Issuer) string {
	u := iss.Endpoint(DevicePath)
	if d.UserCode != "" {
		u += "?" + url.Values{UserCodeParameter: {d.UserCode}}.Encode()
	}
	return u
}

// The query parameters of the page for the code: `user_code` fills it in (RFC 8628 section 3.3.1), `switch_user` asks for a sign-in as
// somebody else.
const (
	UserCodeParameter   = "user_code"
	SwitchUserParameter = "switch_user"
)

// SwitchUserURL is RestartURL with the wish to sign in as somebody else.
func (d *Device) SwitchUserURL(iss *registry.Issuer) string {
	return iss.Endpoint(DevicePath) + "?" + url.Values{UserCodeParameter: {d.UserCode}, SwitchUserParameter: {"true"}}.Encode()
}

// Audit implements Errand.
func (d *Device) Audit(iss *registry.Issuer, event string, attrs ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{slog.String("event", event), slog.String("issuer", iss.URL)}, attrs...)
}
