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
	output, err := goTest(ctx, pattern, count)
	if err != nil {
		return nil, err
	}
	results, err := parse(bytes.NewReader(output))
	if err == nil && len(results) == 0 {
		err = fmt.Errorf("no benchmark matches %q", pattern)
	}
	return results, err
}

// goTest runs one package after another, for two at a time would share the processors.
func goTest(ctx context.Context, pattern string, count int) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-p=1", "-run=^$", "-bench="+pattern, "-benchmem", "-count="+strconv.Itoa(count), "./...")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go test: %w\n%s", err, output.Bytes())
	}
	return output.Bytes(), nil
}
