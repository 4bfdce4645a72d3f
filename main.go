// Command latchkey is the whole of Latchkey: `latchkey controller` reconciles the declared objects, `latchkey server` is
// the authorization server, `latchkey all` is both in one process. Flags are parsed in this package and become the Config
// values of the packages that do the work; it is the only place that imports everything.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

const help = `Latchkey: OAuth 2.x and OpenID Connect for Kubernetes, declared.

Usage:
  latchkey controller [flags]   reconcile OAuthClients, ResourceServers, AuthorizationServers and LocalUsers
  latchkey server [flags]       serve sign-in, consent, tokens and TokenReviews
  latchkey all [flags]          both in one process
  latchkey grants list|revoke   list or revoke what users have granted, wherever it is kept
  latchkey hash-password        read a password, print its hash for a LocalUser's Secret
  latchkey version              print the version

Run a command with --help for its flags.
`

// errUsage is an error whose text has been printed already.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "latchkey:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, help)
		return errUsage
	}
	command, rest := args[0], args[1:]
	switch command {
	case "controller", "server", "all":
		return runProcess(ctx, command, rest)
	case "grants":
		return grantsCommand(ctx, rest, os.Stdout)
	case "hash-password":
		return hashPassword(rest, os.Stdin, os.Stdout)
	case "version":
		fmt.Println("latchkey", version())
		return nil
	case "help", "-h", "--help":
		fmt.Print(help)
		return nil
	}
	fmt.Fprintf(os.Stderr, "latchkey: unknown command %q\n\n%s", command, help)
	return errUsage
}

// version is the module's version, as the Go command stamped it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
