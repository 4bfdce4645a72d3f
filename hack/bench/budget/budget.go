// Package budget holds what a request allocates to what was recorded: counts of allocations are the same on every machine, which times are
// not.
package budget

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"text/tabwriter"

	"github.com/latchkey-io/latchkey/hack/bench/report"
)

// tolerance is by which part a figure may differ from its budget.
const tolerance = 0.10

// Budget is what was recorded, by the name of the benchmark and the unit.
type Budget map[string]map[string]float64

// units are what is recorded.
func units() []string { return []string{"allocs/op", "B/op"} }

// ErrDiffers is returned when a figure is beyond its budget, or so far below that the budget holds nothing any more.
var ErrDiffers = errors.New("the budget is not kept; where that is meant, record it anew (make bench-check RECORD=1)")

// Of is the Budget that results would just keep.
func Of(results []report.Result) Budget {
	b := Budget{}
	for _, r := range results {
		b[r.Name] = map[string]float64{}
		for _, unit := range units() {
			b[r.Name][unit] = math.Round(r.Metrics[unit])
		}
	}
	return b
}

// Read reads a Budget from a file.
func Read(file string) (Budget, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var b Budget
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

// Write writes it.
func (b Budget) Write(file string) error {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// Check prints what was measured beside what was recorded. The error is ErrDiffers unless every benchmark is in both, within the tolerance.
func (b Budget) Check(out io.Writer, measured Budget) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	kept := true
	_, _ = fmt.Fprintln(table, "benchmark\tunit\tbudget\tmeasured\t")
	for _, name := range names(b, measured) {
		for _, unit := range units() {
			budget, inBudget := b[name][unit]
			got, inMeasured := measured[name][unit]
			word := verdict(budget, got)
			if !inBudget || !inMeasured {
				word = "NOT IN BOTH"
			}
			kept = kept && word == ""
			_, _ = fmt.Fprintf(table, "%s\t%s\t%.0f\t%.0f\t%s\n", name, unit, budget, got, word)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if !kept {
		return ErrDiffers
	}
	return nil
}

// verdict is empty for a figure within the tolerance.
func verdict(budget, got float64) string {
	switch {
	case got > budget*(1+tolerance):
		return "TOO MUCH"
	case got < budget*(1-tolerance):
		return "LESS: record it"
	}
	return ""
}

func names(budgets ...Budget) []string {
	known := map[string]bool{}
	var all []string
	for _, b := range budgets {
		for name := range b {
			if !known[name] {
				known[name] = true
				all = append(all, name)
			}
		}
	}
	sort.Strings(all)
	return all
}
