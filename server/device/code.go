package device

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// alphabet is what user codes are made of: no vowels, so that no words come up, and no letters or digits that look like
// others (RFC 8628 section 6.1). Eight of them are 34 bits.
const (
	alphabet = "BCDFGHJKLMNPQRSTVWXZ"
	half     = 4
	length   = 2 * half
)

// newUserCode makes a user code in its plain form: eight letters.
func newUserCode() string {
	const fair = 256 - 256%len(alphabet) // bytes from here on would favour some letters
	code := make([]byte, 0, length)
	var b [length]byte
	for len(code) < length {
		_, _ = rand.Read(b[:]) // never fails
		for _, c := range b {
			if int(c) < fair && len(code) < length {
				code = append(code, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return string(code)
}

// shown is a user code as people see it: XXXX-XXXX.
func shown(code string) string {
	if len(code) != length {
		return code
	}
	return code[:half] + "-" + code[half:]
}

// plain is the plain form of a user code that somebody typed: in capitals, without dashes, blanks and other punctuation (RFC 8628
// section 6.1). It is false for what can't be one.
func plain(typed string) (string, bool) {
	code := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToUpper(c)
		}
		return -1
	}, typed)
	if len(code) != length || strings.Trim(code, alphabet) != "" {
		return "", false
	}
	return code, true
}
