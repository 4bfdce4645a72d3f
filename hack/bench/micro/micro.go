// Package micro runs the benchmarks of the tree, as `go test -bench` does.
package micro

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/latchkey-io/latchkey/hack/bench/report"
)

// Run runs the benchmarks that match the pattern, each count times.
func Run(ctx context.Context, pattern string, count int) ([]report.Result, error) {
	// One package after another, for two at a time would share the processors.
	return run(ctx, os.Environ(), pattern, "-p=1", "-count="+strconv.Itoa(count), "./...")
}

// allocationRuns is how often each request is made of which allocations are counted.
const allocationRuns = "2000x"

// Allocations runs the benchmark of whole requests for what they allocate: as often on every machine, and without a collection, which would
// empty pools at times of its own.
func Allocations(ctx context.Context) ([]report.Result, error) {
	return run(ctx, append(os.Environ(), "GOGC=off"), "^BenchmarkRequest$", "-cpu=1", "-benchtime="+allocationRuns, "./server")
}

func run(ctx context.Context, environment []string, pattern string, args ...string) ([]report.Result, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-run=^$", "-bench=" + pattern, "-benchmem"}, args...)...)
	cmd.Env = environment
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go test: %w\n%s", err, output.Bytes())
	}
	results, err := parse(bytes.NewReader(output.Bytes()))
	if err == nil && len(results) == 0 {
		err = fmt.Errorf("no benchmark matches %q", pattern)
	}
	return results, err
}
