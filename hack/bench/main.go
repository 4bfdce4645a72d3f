// Command bench measures Latchkey, prints what comes of it as tables and keeps it as JSON, so that two runs can be compared. It is
// what `make bench` calls. Its parts: micro, the benchmarks of the tree; size, whole processes with many clients and grants; codeflow and
// load, code flows and single requests against what bounds them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/latchkey-io/latchkey/hack/bench/codeflow"
	"github.com/latchkey-io/latchkey/hack/bench/load"
	"github.com/latchkey-io/latchkey/hack/bench/micro"
	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/size"
)

// options are the flags.
type options struct {
	only, pattern, steps, file, chart, profiles string
	count, size, rounds, grants                 int
	turn                                        time.Duration
	peers                                       bool
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "micro,size", "comma-separated parts to run, of micro, size, codeflow and load")
	flag.StringVar(&o.pattern, "bench", ".", "micro: regular expression of the benchmarks to run")
	flag.IntVar(&o.count, "count", 1, "micro: how often to run each")
	flag.IntVar(&o.size, "size", 10_000, "size, load: how many clients and how many grants")
	flag.StringVar(&o.steps, "steps", "", "comma-separated steps, every one when empty; size: none, grants, sweep, reconcile, few, many, all; codeflow: memory, kubernetes, valkey, grants; load: static, ES256, RS256, introspection, review, many")
	flag.IntVar(&o.rounds, "rounds", 5, "codeflow, load: how often each contestant has its turn")
	flag.DurationVar(&o.turn, "turn", 4*time.Second, "codeflow, load: how long a turn is")
	flag.IntVar(&o.grants, "grants", 100_000, "codeflow: how many grants are many")
	flag.BoolVar(&o.peers, "peers", false, "codeflow, load: let node-oidc-provider take part, which npm installs")
	flag.StringVar(&o.profiles, "profiles", "", "directory to keep profiles in")
	flag.StringVar(&o.chart, "chart", "", "file to draw what several servers made of the same work in, as SVG")
	flag.StringVar(&o.file, "json", "", "file to write the results to")
	flag.Parse()
	log.SetLogger(logr.Discard()) // of controller-runtime's clients
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, &o)
	release()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run runs the parts one after another, and writes the file after each: what has been measured is not lost with the next one.
func run(ctx context.Context, o *options) error {
	r := &report.Report{
		Time: time.Now().UTC(), GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Load: loadAverage(),
	}
	parts := map[string]func(context.Context, *options, *report.Report) error{"micro": runMicro, "size": runSize, "codeflow": runCodeFlow, "load": runLoad}
	for _, part := range strings.Split(o.only, ",") {
		do, ok := parts[part]
		if !ok {
			return fmt.Errorf("there is no part %q", part)
		}
		if err := do(ctx, o, r); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		if o.chart != "" && len(r.Comparisons) > 0 {
			if err := draw(o.chart, r); err != nil {
				return err
			}
		}
		if o.file == "" {
			continue
		}
		if err := report.Write(o.file, r); err != nil {
			return err
		}
	}
	return nil
}

func runMicro(ctx context.Context, o *options, r *report.Report) (err error) {
	if r.Results, err = micro.Run(ctx, o.pattern, o.count); err != nil {
		return err
	}
	return report.Results(os.Stdout, r.Results)
}

func runSize(ctx context.Context, o *options, r *report.Report) error {
	figures, err := size.Run(ctx, size.Options{Objects: o.size, Steps: list(o.steps), Profiles: o.profiles, Out: os.Stderr})
	r.Figures = slices.Concat(r.Figures, figures)
	if err != nil {
		return err
	}
	return report.Figures(os.Stdout, figures)
}

func runCodeFlow(ctx context.Context, o *options, r *report.Report) error {
	figures, comparisons, err := codeflow.Run(ctx, codeflow.Options{
		Steps: list(o.steps), Rounds: o.rounds, Turn: o.turn, Grants: o.grants, Peers: o.peers, Profiles: o.profiles, Out: os.Stderr,
	})
	r.Figures, r.Comparisons = slices.Concat(r.Figures, figures), slices.Concat(r.Comparisons, comparisons)
	if err != nil {
		return err
	}
	return report.Figures(os.Stdout, figures)
}

func runLoad(ctx context.Context, o *options, r *report.Report) error {
	figures, comparisons, err := load.Run(ctx, load.Options{
		Steps: list(o.steps), Rounds: o.rounds, Turn: o.turn, Objects: o.size, Peers: o.peers, Profiles: o.profiles, Out: os.Stderr,
	})
	r.Figures, r.Comparisons = slices.Concat(r.Figures, figures), slices.Concat(r.Comparisons, comparisons)
	if err != nil {
		return err
	}
	return report.Figures(os.Stdout, figures)
}

func list(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }

// loadAverage is that of the machine; empty where the kernel does not tell.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
