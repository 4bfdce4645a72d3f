package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// PeekIssuer returns the `iss` that a JWT claims, without any cryptography: to choose who verifies it and to refuse foreign
// tokens cheaply. It proves nothing. False for what is no JWT in compact form with an `iss`.
func PeekIssuer(raw string) (string, bool) {
	if len(raw) > maxLength {
		return "", false
	}
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) != 3 {
		return "", false
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var claims map[string]json.RawMessage // a struct would take "ISS" for "iss"
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", false
	}
	var issuer string
	if err := json.Unmarshal(claims["iss"], &issuer); err != nil {
		return "", false
	}
	return issuer, issuer != ""
}
