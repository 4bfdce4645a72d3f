package password

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
)

// The limits on hashes that were made elsewhere: a dearer one would let a sign-in stop the server.
const (
	maxMemory      = 256 * 1024 // KiB
	maxTime        = 16
	maxParallelism = 16
	maxBcryptCost  = 15 // some seconds
)

// maxBcryptPassword is the length in bytes up to which bcrypt looks at a password.
const maxBcryptPassword = 72

// bcryptMemory is what bcrypt needs in KiB.
const bcryptMemory = 5

// The two kinds of hash, strictly: salts of 8 to 64 bytes, keys of 16 to 64 (an empty key would match every password).
var (
	argon2idHash = regexp.MustCompile(
		`^\$argon2id\$v=19\$m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=([1-9]\d{0,9})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$`)
	bcryptHash = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)
)

// UnusableHashError says why a hash can't be used. It tells nothing of the hash but its parameters.
type UnusableHashError struct{ Reason string }

func (e *UnusableHashError) Error() string { return "password: the hash can't be used: " + e.Reason }

func unusable(format string, args ...any) error {
	return &UnusableHashError{Reason: fmt.Sprintf(format, args...)}
}

// cost is what verifying a hash takes: hashes of equal cost can't be told apart by time.
type cost struct {
	bcrypt bool
	// memory in KiB; time is bcrypt's logarithmic cost, or Argon2's number of passes.
	memory, time, parallelism int
}

// costOf reads the cost from a hash, and refuses what is no hash or beyond the limits.
func costOf(hash string) (cost, error) {
	if m := bcryptHash.FindStringSubmatch(hash); m != nil {
		return bcryptCost(m[1])
	}
	m := argon2idHash.FindStringSubmatch(hash)
	if m == nil {
		return cost{}, unusable("it must be a PHC string of argon2id, version 19, or a bcrypt hash")
	}
	return argon2idCost(m[1], m[2], m[3])
}

func bcryptCost(digits string) (cost, error) {
	n, err := strconv.Atoi(digits)
	if err != nil || n < bcrypt.MinCost || n > maxBcryptCost {
		return cost{}, unusable("the cost of bcrypt must be %d to %d, and is %s", bcrypt.MinCost, maxBcryptCost, digits)
	}
	return cost{bcrypt: true, memory: bcryptMemory, time: n, parallelism: 1}, nil
}

func argon2idCost(memory, time, parallelism string) (cost, error) {
	var c cost
	for _, p := range []struct {
		name, digits string
		max          int
		value        *int
	}{
		{"memory m (in KiB)", memory, maxMemory, &c.memory},
		{"time t", time, maxTime, &c.time},
		{"parallelism p", parallelism, maxParallelism, &c.parallelism},
	} {
		n, err := strconv.Atoi(p.digits)
		if err != nil || n > p.max {
			return cost{}, unusable("the %s must be at most %d, and is %s", p.name, p.max, p.digits)
		}
		*p.value = n
	}
	return c, nil
}

// compare does the work. bcrypt looks at 72 bytes and would take every longer password that begins with them: it is the
// wrong one, after the same work.
func (c cost) compare(hash, password string) (bool, error) {
	password = prepare(password)
	if !c.bcrypt {
		ok, err := argon2id.ComparePasswordAndHash(password, hash)
		if err != nil {
			return false, unusable("its salt or its key is not base64")
		}
		return ok, nil
	}
	looked := password[:min(len(password), maxBcryptPassword)]
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(looked))
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, unusable("bcrypt refuses it")
	}
	return err == nil && len(password) <= maxBcryptPassword, nil
}
