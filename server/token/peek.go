package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// PeekIssuer returns the `iss` that a JWT claims, without any cryptography: to choose who verifies it and to refuse foreign
// tokens cheaply. It proves nothing. False for what is no JWT in compact form with an `iss`.
func PeekIssuer(raw string) (string, bool) {
	var issuer string
	if err := json.Unmarshal(peek(raw)["iss"], &issuer); err != nil {
		return "", false
	}
	return issuer, issuer != ""
}

// PeekSubject returns the `sub` that a JWT claims, likewise; empty for what is no JWT with one.
func PeekSubject(raw string) string {
	var subject string
	if err := json.Unmarshal(peek(raw)["sub"], &subject); err != nil {
		return ""
	}
	return subject
}

// PeekExpiry returns the `exp` that a JWT claims, likewise. False for what is no JWT with an `exp` in whole seconds.
func PeekExpiry(raw string) (time.Time, bool) {
	var seconds int64
	if err := json.Unmarshal(peek(raw)["exp"], &seconds); err != nil {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// PeekAudience returns the `aud` that a JWT claims, likewise: to find out who may ask about it before it is verified. It is empty for
// what is no JWT, and for one that claims to be for more parties than any of ours is.
func PeekAudience(raw string) []string {
	claimed := peek(raw)["aud"]
	var one string
	if err := json.Unmarshal(claimed, &one); err == nil {
		return []string{one}
	}
	var all []string
	if err := json.Unmarshal(claimed, &all); err != nil || len(all) > maxAudiences {
		return nil
	}
	return all
}

// maxAudiences bounds what is looked at: a resource or two, and the issuer.
const maxAudiences = 8

// peek returns the claims of a JWT in compact form, unverified; none for anything else.
func peek(raw string) map[string]json.RawMessage {
	if len(raw) > maxLength {
		return nil
	}
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims map[string]json.RawMessage // a struct would take "ISS" for "iss"
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil
	}
	return claims
}
