// Package report is what the benchmarks come to: figures, with the targets that they are held to, as a table and as JSON.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// Report is what the JSON file holds.
type Report struct {
	Time      time.Time `json:"time"`
	GoVersion string    `json:"goVersion"`
	Platform  string    `json:"platform"`
	CPUs      int       `json:"cpus"`
	// Load is the load average of the machine when the run began, which says how much of it belonged to others.
	Load string `json:"load,omitempty"`
	// Results are the benchmarks of `go test`.
	Results []Result `json:"results,omitempty"`
	// Figures are what was measured on running processes.
	Figures []Figure `json:"figures,omitempty"`
	// Comparisons are what several servers made of the same work.
	Comparisons []Comparison `json:"comparisons,omitempty"`
}

// Comparison is one kind of work, done in turn by several servers in one run.
type Comparison struct {
	Work string `json:"work"`
	// Target is the least ratio that Latchkey is held to; zero for none.
	Target float64 `json:"target,omitempty"`
	// Entries are the ceiling, Latchkey, and others, in this order.
	Entries []Entry `json:"entries"`
}

// Entry is what one server made of it.
type Entry struct {
	Server string `json:"server"`
	// Rate is a second, Ratio in proportion to the first entry in the same round; medians. P50 and P99 are milliseconds.
	Rate  float64 `json:"rate"`
	Ratio float64 `json:"ratio"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

// Result is one line of a benchmark.
type Result struct {
	// Package is relative to the repository's root; Name has neither the word Benchmark nor the number of processors.
	Package string `json:"package"`
	Name    string `json:"name"`
	// Iterations is how often the operation ran.
	Iterations int `json:"iterations"`
	// Metrics by unit, as Go writes them: ns/op, B/op, allocs/op and whatever the benchmark reports itself.
	Metrics map[string]float64 `json:"metrics"`
}

// Figure is one thing measured.
type Figure struct {
	// Section is the part of the run, Name what was measured.
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	// AtMost and AtLeast are targets, zero where there is none.
	AtMost  float64 `json:"atMost,omitempty"`
	AtLeast float64 `json:"atLeast,omitempty"`
}

// Met says whether the figure is within its targets.
func (f *Figure) Met() bool {
	return (f.AtMost == 0 || f.Value <= f.AtMost) && (f.AtLeast == 0 || f.Value >= f.AtLeast)
}

// target is the target in words, and whether it is met.
func (f *Figure) target() string {
	verdict := "met"
	if !f.Met() {
		verdict = "NOT MET"
	}
	switch {
	case f.AtMost != 0:
		return fmt.Sprintf("≤ %s, %s", number(f.AtMost), verdict)
	case f.AtLeast != 0:
		return fmt.Sprintf("≥ %s, %s", number(f.AtLeast), verdict)
	}
	return ""
}

// number has three digits that count.
func number(v float64) string {
	if v >= 100 || v <= -100 || v == float64(int64(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// Results writes a table of benchmarks.
func Results(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "package\tbenchmark\ttime/op\tops/s\tB/op\tallocs/op\t") // errors are kept for Flush
	for _, r := range results {
		perOp := time.Duration(r.Metrics["ns/op"])
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%.0f\t%.0f\t%.0f\t\n", r.Package, r.Name, perOp, float64(time.Second)/r.Metrics["ns/op"],
			r.Metrics["B/op"], r.Metrics["allocs/op"])
	}
	return t.Flush()
}

// Figures writes a table of figures.
func Figures(w io.Writer, figures []Figure) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "section\tfigure\tvalue\tunit\ttarget") // errors are kept for Flush
	for i := range figures {
		f := &figures[i]
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.Section, f.Name, number(f.Value), f.Unit, f.target())
	}
	return t.Flush()
}

// Write writes the report to a file.
func Write(file string, report *Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
