package micro

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// parse reads the benchmark format of `go test` (https://go.dev/design/14313-benchmark-format).
func parse(output io.Reader) ([]report.Result, error) {
	var results []report.Result
	var pkg string
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		line := lines.Text()
		if name, found := strings.CutPrefix(line, "pkg: "); found {
			pkg = strings.TrimPrefix(strings.TrimPrefix(name, build.ModulePath), "/")
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		result, err := parseLine(fields)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		result.Package = pkg
		results = append(results, result)
	}
	return results, lines.Err()
}

// parseLine reads a name, the iterations, and then pairs of value and unit.
func parseLine(fields []string) (report.Result, error) {
	iterations, err := strconv.Atoi(fields[1])
	if err != nil {
		return report.Result{}, err
	}
	result := report.Result{Name: withoutProcessors(strings.TrimPrefix(fields[0], "Benchmark")), Iterations: iterations, Metrics: map[string]float64{}}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return report.Result{}, err
		}
		result.Metrics[fields[i+1]] = value
	}
	return result, nil
}

// withoutProcessors takes the -8 from the end of a benchmark's name.
func withoutProcessors(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if _, err := strconv.Atoi(name[i+1:]); err != nil {
		return name
	}
	return name[:i]
}
