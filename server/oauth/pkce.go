package oauth

import "strings"

// WellFormedPKCE says whether a code_verifier or a code_challenge has the syntax that both share: 43 to 128 unreserved
// characters (RFC 7636 sections 4.1 and 4.2).
func WellFormedPKCE(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && !strings.ContainsFunc(s, func(c rune) bool { return !unreserved(c) })
}

// unreserved are the characters that RFC 3986 section 2.3 calls so.
func unreserved(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~", c)
}
