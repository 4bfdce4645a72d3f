package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// install applies what a cluster needs to run Latchkey, apart from the Deployments: the programs run here, on loopback.
// The CustomResourceDefinitions are there already.
func (e *environment) install(ctx context.Context) error {
	return e.cp.Apply(ctx, "config/local")
}

// applySamples applies config/samples with this site's ports and waits until Latchkey has taken all of it in.
func (e *environment) applySamples(ctx context.Context) error {
	rendered, _, err := e.cp.Kubectl(ctx, "kustomize", filepath.Join(e.root, "config", "samples"))
	if err != nil {
		return err
	}
	manifests := moveTo(e.base, []byte(rendered))
	if _, _, err := e.cp.KubectlInput(ctx, bytes.NewReader(manifests), "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	_, _, err = e.cp.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "--all", "--all-namespaces",
		"authorizationservers,localusers,resourceservers,oauthclients")
	return err
}

var samplePort = regexp.MustCompile(`\b(localhost|127\.0\.0\.1):200(\d\d)\b`)

// moveTo rewrites the addresses of manifests that are written for the default ports.
func moveTo(base int, manifests []byte) []byte {
	return samplePort.ReplaceAllFunc(manifests, func(match []byte) []byte {
		host, port, _ := strings.Cut(string(match), ":")
		number, err := strconv.Atoi(port)
		if err != nil {
			return match
		}
		return fmt.Appendf(nil, "%s:%d", host, number-defaultPortBase+base)
	})
}

// writeWhole writes a file that appears complete or not at all.
func writeWhole(file string, text []byte) error {
	unfinished := file + ".unfinished"
	if err := os.WriteFile(unfinished, text, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, file)
}
