package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/template"
)

// run is `make run`: the whole environment, in the foreground.
func run(ctx context.Context, s site, out io.Writer) error {
	e, err := s.start(ctx, out)
	if err != nil {
		return err
	}
	if err := e.welcome(); err != nil {
		return errors.Join(err, e.stop())
	}
	failure := e.wait(ctx)
	_, sayErr := fmt.Fprintln(out, "\nStopping")
	return errors.Join(failure, sayErr, e.stop())
}

const welcomeText = `
  Latchkey is running.

    Open        {{.PrintShop}}
    Sign in as  alice / wonderland

    Issuers     {{.HTTP}}    used by the print-shop
                {{.HTTPS}}   with a certificate by {{.CA}}

  Look at it with kubectl:

    . {{.Env}}
    {{.Kubectl}} get oauth --all-namespaces
    {{.Kubectl}} --namespace demo get secret print-shop-oauth --output yaml
    {{.Kubectl}} --namespace latchkey-system get oauthgrants

  Sign in, then take the approval back and reload the photos:

    {{.Kubectl}} --namespace latchkey-system delete oauthgrants --all

  Logs are in {{.Logs}}. Ctrl-C ends all of it.

`

// welcome says where to go and what to try.
func (e *environment) welcome() error {
	text, err := template.New("welcome").Parse(welcomeText)
	if err != nil {
		return err
	}
	return text.Execute(e.out, map[string]string{
		"PrintShop": e.printShop(),
		"HTTP":      e.httpIssuer(),
		"HTTPS":     e.httpsIssuer(),
		"CA":        e.short(e.caFile()),
		"Env":       e.short(e.envFile()),
		"Kubectl":   e.short(e.cp.Assets.Kubectl),
		"Logs":      e.short(filepath.Join(e.stateDir(), "*.log")),
	})
}

// short is a path as one would type it in the repository's root.
func (s site) short(path string) string {
	inside, found := strings.CutPrefix(path, s.root+string(filepath.Separator))
	if !found {
		return path
	}
	return inside
}
