package token

import (
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/server/registry"
)

// maxRefreshLength bounds the refresh tokens that are looked at, in bytes: an id of 32, a generation of 19, a secret of 43.
const maxRefreshLength = 96

// Refresh is the refresh token (RFC 6749 section 1.5) of a grant's generation: `<grant id>.<generation>.<secret>`. It is computed,
// and so can be given again when a response was lost.
func Refresh(iss *registry.Issuer, grantID string, generation int64) string {
	secret := iss.Keys.RefreshSecret(grantID, generation)
	return grantID + "." + strconv.FormatInt(generation, 10) + "." + base64.RawURLEncoding.EncodeToString(secret)
}

// ParseRefresh says whether raw is a refresh token that Refresh made for the issuer, character by character, and of which
// grant and generation. Whether the grant is still there and of that generation is left to the caller. False tells nothing
// about the grant that a false token names.
func ParseRefresh(iss *registry.Issuer, raw string) (grantID string, generation int64, ok bool) {
	if len(raw) > maxRefreshLength {
		return "", 0, false
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return "", 0, false
	}
	generation, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || generation < 1 {
		return "", 0, false
	}
	if subtle.ConstantTimeCompare([]byte(Refresh(iss, parts[0], generation)), []byte(raw)) != 1 {
		return "", 0, false
	}
	return parts[0], generation, true
}
