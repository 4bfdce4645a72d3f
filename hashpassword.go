package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/latchkey-io/latchkey/server/login/password"
)

const hashPasswordUsage = `Reads a password from standard input, up to the end of the line, and prints its hash for a LocalUser's Secret:

  echo "$PASSWORD" | latchkey hash-password

On a terminal it asks for the password, and does not show it.
`

// hashPassword is `latchkey hash-password`. The password is never an argument, which other users of the machine could see.
func hashPassword(args []string, in *os.File, out io.Writer) error {
	if len(args) > 0 {
		fmt.Fprint(os.Stderr, hashPasswordUsage)
		if args[0] == "-h" || args[0] == "--help" {
			return nil
		}
		return errUsage
	}
	plain, err := readPassword(in)
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	if plain == "" {
		return errors.New("the password is empty; give it on standard input, for example: printf %s \"$PASSWORD\" | latchkey hash-password")
	}
	hash, err := password.Hash(plain)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, hash)
	return err
}

// readPassword reads a line, from a terminal without an echo.
func readPassword(in *os.File) (string, error) {
	if fd := int(in.Fd()); term.IsTerminal(fd) {
		fmt.Fprint(os.Stderr, "Password: ")
		plain, err := term.ReadPassword(fd)
		fmt.Fprintln(os.Stderr)
		return string(plain), err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}
