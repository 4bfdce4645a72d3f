package oauth

import "strings"

// BearerToken reads the token from the value of an Authorization header (RFC 6750 section 2.1). False for another scheme, and
// where there is no token.
func BearerToken(header string) (string, bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, TokenTypeBearer) && token != ""
}
