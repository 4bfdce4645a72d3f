package interaction

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
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

// parameter is the query parameter that carries the seal. It stands alone.
func (s DeviceStep) parameter() string { return "device-" + string(s) }

func (s DeviceStep) purpose() string { return "interaction/device/" + string(s) }

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

// sealedDevice is what travels in the URL.
type sealedDevice struct {
	Device
	Browser   string `json:"b"` // session.Browser.Binding
	ExpiresAt int64  `json:"e"` // Unix milliseconds
}

// URL is where the browser, and no other, goes on at the step.
func (d *Device) URL(iss *registry.Issuer, step DeviceStep, b session.Browser, now time.Time) (string, error) {
	if b.Binding() == "" {
		return "", fmt.Errorf("interaction: nothing to bind the step %s to", step)
	}
	body, err := json.Marshal(sealedDevice{Device: *d, Browser: b.Binding(), ExpiresAt: now.Add(deviceLifetime).UnixMilli()})
	if err != nil {
		return "", fmt.Errorf("interaction: seal: %w", err)
	}
	seal, err := iss.Keys.Seal(iss.URL, step.purpose(), body, now)
	if err != nil {
		return "", fmt.Errorf("interaction: seal: %w", err)
	}
	return iss.Endpoint(step.path()) + "?" + step.parameter() + "=" + seal, nil
}

// CarriesDevice says whether the HTTP request comes with a seal for the step.
func CarriesDevice(r *http.Request, step DeviceStep) bool {
	return strings.HasPrefix(r.URL.RawQuery, step.parameter()+"=")
}

// OpenDevice returns what the URL carries. The error is a StaleError when the seal was not made for this step and this browser.
func OpenDevice(r *http.Request, iss *registry.Issuer, step DeviceStep, b session.Browser, now time.Time) (*Device, error) {
	restart := (&Device{}).RestartURL(iss)
	seal, ok := strings.CutPrefix(r.URL.RawQuery, step.parameter()+"=")
	if !ok || len(seal) > maxURLLength {
		return nil, stale("the form does not come from this page", restart)
	}
	body, err := iss.Keys.Open(iss.URL, step.purpose(), seal)
	if err != nil {
		return nil, stale("the link is damaged, or made for another step", restart)
	}
	s := &sealedDevice{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("interaction: open: %w", err)
	}
	switch {
	case !now.Before(time.UnixMilli(s.ExpiresAt)):
		return nil, stale("this page was open for too long", s.RestartURL(iss))
	case b.Binding() == "" || subtle.ConstantTimeCompare([]byte(b.Binding()), []byte(s.Browser)) != 1:
		return nil, stale("this page was made for another browser, or for before or after a sign-in", s.RestartURL(iss))
	}
	return &s.Device, nil
}

// Current implements Errand: what has become of the code is seen after sign-in.
func (d *Device) Current() bool { return true }

// LoginPage implements Errand.
func (d *Device) LoginPage(iss *registry.Issuer) (ui.LoginPage, error) {
	return ui.LoginPage{Chrome: chrome(iss), Purpose: "connect a device"}, nil
}

// AfterLogin implements Errand.
func (d *Device) AfterLogin(iss *registry.Issuer, b session.Browser, now time.Time) (string, error) {
	return (&Device{UserCode: d.UserCode}).URL(iss, DeviceConsent, b, now)
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
