// Command dev runs Latchkey locally, against a real Kubernetes control plane. It is what `make run`, `make demo`,
// `make cluster` and `make cluster-stop` call.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/latchkey-io/latchkey/hack/controlplane"
)

const usage = `usage: dev <command> [-port-base N] [-state DIR]

  run            control plane, Latchkey and the demo apps, in the foreground until Ctrl-C
  demo           walk the authorization code flow, in a live run or in one of its own
  cluster        only a control plane, in the background
  cluster-stop   end it
  binaries       build what a control plane needs, and nothing more

The environment variable OUTBOUND_CA_FILE names a PEM file with authorities that the server is to trust at URLs that clients
declare (jwksURI, logout), beside the local ones.
`

func main() {
	if len(os.Args) < 2 || os.Args[1] != clusterDaemon { // which outlives the command that started it
		followGoRun()
	}
	os.Exit(runCommand(os.Args[1:], os.Stdout, os.Stderr))
}

// command is one subcommand. It returns when it is done or ctx ends.
type command func(ctx context.Context, site site, out io.Writer) error

func commands() map[string]command {
	return map[string]command{
		"run":          run,
		"demo":         demo,
		"cluster":      startCluster,
		clusterDaemon:  serveCluster,
		"cluster-stop": stopCluster,
		"binaries":     buildBinaries,
	}
}

func runCommand(args []string, out, errOut io.Writer) int {
	if len(args) == 0 {
		_, _ = fmt.Fprint(errOut, usage) // nowhere else to complain
		return 2
	}
	execute, known := commands()[args[0]]
	if !known {
		_, _ = fmt.Fprintf(errOut, "dev: unknown command %q\n%s", args[0], usage)
		return 2
	}
	portBase, state, err := parseFlags(args[1:], os.Getenv("PORT_BASE"), errOut)
	if err != nil {
		_, _ = fmt.Fprintln(errOut, "dev:", err)
		return 2
	}
	site, err := newSite(portBase, state)
	site.outboundCA = os.Getenv("OUTBOUND_CA_FILE")
	if err == nil {
		ctx, release := untilSignal()
		defer release()
		err = execute(ctx, site, out)
	}
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "\ndev %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

func parseFlags(args []string, portBase string, errOut io.Writer) (base int, state string, err error) {
	base = defaultPortBase
	if portBase != "" {
		if base, err = strconv.Atoi(portBase); err != nil {
			return 0, "", fmt.Errorf("PORT_BASE is not a number: %q", portBase)
		}
	}
	flags := flag.NewFlagSet("dev", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.IntVar(&base, "port-base", base, "the first of the ports in use; also the environment variable PORT_BASE")
	flags.StringVar(&state, "state", "", "the `directory` for everything that is written; .local when empty")
	if err := flags.Parse(args); err != nil {
		return 0, "", err
	}
	if flags.NArg() > 0 {
		return 0, "", fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if base < 1024 || base > 65000 {
		return 0, "", fmt.Errorf("PORT_BASE must be between 1024 and 65000, not %d", base)
	}
	return base, state, nil
}

// untilSignal returns a context that ends with the first signal. A second one ends the process at once, and with it all
// children.
func untilSignal() (context.Context, func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup, a closed terminal is no reason to end
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, release := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, release)
	return ctx, release
}

func buildBinaries(ctx context.Context, _ site, out io.Writer) error {
	_, err := controlplane.Binaries(ctx, out)
	return err
}
