// Command bench runs the benchmarks of the tree, prints them as a table and keeps them as JSON, so that two runs can be
// compared. It is what `make bench` calls.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"text/tabwriter"
	"time"
)

// Report is what the JSON file holds.
type Report struct {
	Time      time.Time `json:"time"`
	GoVersion string    `json:"goVersion"`
	Platform  string    `json:"platform"`
	CPUs      int       `json:"cpus"`
	Results   []Result  `json:"results"`
}

func main() {
	pattern := flag.String("bench", ".", "regular expression of the benchmarks to run")
	count := flag.Int("count", 1, "how often to run each")
	file := flag.String("json", "", "file to write the results to")
	flag.Parse()
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *pattern, *count, *file)
	release()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, pattern string, count int, file string) error {
	output, err := goTest(ctx, pattern, count)
	if err != nil {
		return err
	}
	results, err := parse(bytes.NewReader(output))
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return fmt.Errorf("no benchmark matches %q", pattern)
	}
	if err := table(os.Stdout, results); err != nil {
		return err
	}
	if file == "" {
		return nil
	}
	return write(file, Report{
		Time: time.Now().UTC(), GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs: runtime.NumCPU(), Results: results,
	})
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

func table(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "package\tbenchmark\ttime/op\tops/s\tB/op\tallocs/op\t") // errors are kept for Flush
	for _, r := range results {
		perOp := time.Duration(r.Metrics["ns/op"])
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%.0f\t%.0f\t%.0f\t\n", r.Package, r.Name, perOp, float64(time.Second)/r.Metrics["ns/op"],
			r.Metrics["B/op"], r.Metrics["allocs/op"])
	}
	return t.Flush()
}

func write(file string, report Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
