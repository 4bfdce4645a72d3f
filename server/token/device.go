package token

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
)

// DeviceInterval is the time between two requests of a client for the tokens of a device code (RFC 8628 section 3.2), and by how
// much it grows when the client is told to slow down (section 3.5).
const DeviceInterval = 5 * time.Second

// devicePurpose is the seal purpose of device codes.
const devicePurpose = "device code"

// DeviceCode is a device code (RFC 8628 section 3.2): what a device authorization is found by, sealed. Nobody but the client that it
// was issued to may present it. Times are in whole seconds.
type DeviceCode struct {
	// Name is that of the device authorization, which follows from the user code; ID tells it from any other that ever has the
	// name, and becomes the id of the grant.
	Name string `json:"n"`
	ID   string `json:"id"`
	// ClientID and ClientUID name the client.
	ClientID  string `json:"cid"`
	ClientUID string `json:"cuid"`
	// ExpiresAt is when it can't be redeemed any more.
	ExpiresAt time.Time `json:"exp"`
}

// Seal returns the code as the client gets to see it.
func (c *DeviceCode) Seal(iss *registry.Issuer, now time.Time) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("token: seal device code: %w", err)
	}
	return iss.Keys.Seal(iss.URL, devicePurpose, body, now)
}

// OpenDeviceCode returns the code that Seal made for the issuer. Whatever else is presented gives an error that tells nothing
// about it. Whether the code has expired is left to the caller: see Expired.
func OpenDeviceCode(iss *registry.Issuer, sealed string) (*DeviceCode, error) {
	body, err := iss.Keys.Open(iss.URL, devicePurpose, sealed)
	if err != nil {
		return nil, err
	}
	c := &DeviceCode{}
	if err := json.Unmarshal(body, c); err != nil {
		return nil, fmt.Errorf("token: open device code: %w", err)
	}
	return c, nil
}

// Expired says whether the code may not be redeemed any more at the time now.
func (c *DeviceCode) Expired(now time.Time) bool { return !now.Before(c.ExpiresAt) }
