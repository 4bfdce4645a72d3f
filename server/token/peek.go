package token

import "time"

// maxAudiences bounds what is looked at: a resource or two, and the issuer.
const maxAudiences = 8

// PeekIssuer returns the `iss` that a JWT claims, without any cryptography: to choose who verifies it and to refuse foreign
// tokens cheaply. It proves nothing. False for what is no JWT in compact form with an `iss`.
func PeekIssuer(raw string) (string, bool) {
	var claimed struct {
		Issuer string `json:"iss"`
	}
	err := decodeClaims(raw, &claimed)
	return claimed.Issuer, err == nil && claimed.Issuer != ""
}

// PeekSubject returns the `sub` that a JWT claims, likewise; empty for what is no JWT with one.
func PeekSubject(raw string) string {
	var claimed struct {
		Subject string `json:"sub"`
	}
	if decodeClaims(raw, &claimed) != nil {
		return ""
	}
	return claimed.Subject
}

// PeekExpiry returns the `exp` that a JWT claims, likewise. False for what is no JWT with an `exp` in whole seconds.
func PeekExpiry(raw string) (time.Time, bool) {
	var claimed struct {
		ExpiresAt *int64 `json:"exp"`
	}
	if decodeClaims(raw, &claimed) != nil || claimed.ExpiresAt == nil {
		return time.Time{}, false
	}
	return time.Unix(*claimed.ExpiresAt, 0), true
}

// PeekAudience returns the `aud` that a JWT claims, likewise: to find out who may ask about it before it is verified. It is empty for
// what is no JWT, and for one that claims to be for more parties than any of ours is.
func PeekAudience(raw string) []string {
	var claimed struct {
		Audience audience `json:"aud"`
	}
	if decodeClaims(raw, &claimed) != nil || len(claimed.Audience) > maxAudiences {
		return nil
	}
	return claimed.Audience
}
