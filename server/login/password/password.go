// Package password hashes passwords and verifies them, with the same work whether a user is known or not and never more
// at once than the machine can bear.
package password

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/secure/precis"
)

// MaxLength is the length in bytes of the longest password.
const MaxLength = 1024

// The cost of the hashes that Hash makes: the least that the OWASP Password Storage Cheat Sheet recommends for
// Argon2id. Memory is in KiB.
const (
	hashMemory      = 19 * 1024
	hashTime        = 2
	hashParallelism = 1
)

// Hash makes an Argon2id hash of a password as a PHC string. An empty password, one that is longer than MaxLength bytes
// and one that is not UTF-8 are errors.
func Hash(password string) (string, error) {
	switch {
	case password == "":
		return "", errors.New("password: it is empty")
	case len(password) > MaxLength:
		return "", fmt.Errorf("password: it is longer than %d bytes", MaxLength)
	case !utf8.ValidString(password):
		return "", errors.New("password: it is not UTF-8")
	}
	return argon2id.CreateHash(prepare(password), &argon2id.Params{
		Memory: hashMemory, Iterations: hashTime, Parallelism: hashParallelism, SaltLength: 16, KeyLength: 32,
	})
}

// prepare gives one password the same bytes on every keyboard (OpaqueString, RFC 8265 section 4.2). What the profile
// refuses, such as control characters, is taken as it is: the hash may come from elsewhere.
func prepare(password string) string {
	if prepared, err := precis.OpaqueString.String(password); err == nil {
		return prepared
	}
	return password
}
