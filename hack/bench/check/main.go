// Command check fails when a request allocates more than was recorded. It is what `make bench-check` calls.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/latchkey-io/latchkey/hack/bench/budget"
	"github.com/latchkey-io/latchkey/hack/bench/micro"
)

func main() {
	file := flag.String("budget", "hack/bench/budget.json", "file with what was recorded")
	record := flag.Bool("record", false, "record what is measured instead of checking it")
	flag.Parse()
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *file, *record)
	release()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-check:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string, record bool) error {
	results, err := micro.Allocations(ctx)
	if err != nil {
		return err
	}
	measured := budget.Of(results)
	if record {
		return measured.Write(file)
	}
	recorded, err := budget.Read(file)
	if err != nil {
		return err
	}
	return recorded.Check(os.Stdout, measured)
}
