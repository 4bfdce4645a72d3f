package ui

import (
	"net/http"
	"time"
)

// Problems that the page for a device's code can show. One text stands for codes that are unknown, expired and used alike.
const (
	ProblemUserCode          = "This code is not valid. Check it on your device, or start again there to get a new one."
	ProblemUserCodeMissing   = "Enter the code that your device shows."
	ProblemUserCodeThrottled = "There were too many codes. Wait a little, then try again."
)

// DevicePage asks for the code that a device shows (RFC 8628 section 3.3). The form posts the field `user_code` to Action.
type DevicePage struct {
	Chrome
	// Action is the URL that the form posts to.
	Action string
	// UserCode is filled in already.
	UserCode string
	// Problem is the reason why the page is shown again: one of the ProblemUserCode texts, or empty.
	Problem string
	// RetryAfter, when positive, is sent in the header of that name.
	RetryAfter time.Duration
}

// MaxUserCode is the length in characters that the form takes.
func (DevicePage) MaxUserCode() int { return 32 }

// Invalid says whether the problem is in what was filled in.
func (p DevicePage) Invalid() bool { return p.Problem != "" && p.Problem != ProblemUserCodeThrottled }

// Device writes the page on which a user enters the code that a device shows.
func (p *Pages) Device(w http.ResponseWriter, status int, v DevicePage) error {
	return render(w, p.device, status, v.Chrome, v.RetryAfter, v)
}

// DeviceConsentPage asks whether a device may have what it asks for. The form posts `decision` to Action, as that of a
// ConsentPage does, whose RedirectHost it has no use for.
type DeviceConsentPage struct {
	ConsentPage
	// ClientNamespace is the namespace that declares the client.
	ClientNamespace string
	// UserCode is to be compared with what the device shows.
	UserCode string
	// Source is the address that the request came from, empty when it is not known.
	Source string
}

// DeviceConsent writes the page on which a user allows or denies what a device asks for.
func (p *Pages) DeviceConsent(w http.ResponseWriter, status int, v DeviceConsentPage) error {
	return render(w, p.deviceConsent, status, v.Chrome, 0, v)
}

// DeviceDecisionPage sends the user back to the device.
type DeviceDecisionPage struct {
	Chrome
	// Allowed is what the user decided, ClientName about whom.
	Allowed    bool
	ClientName string
}

// DeviceDecision writes the page that ends the flow in the browser.
func (p *Pages) DeviceDecision(w http.ResponseWriter, status int, v DeviceDecisionPage) error {
	return render(w, p.deviceDecision, status, v.Chrome, 0, v)
}
