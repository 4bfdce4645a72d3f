package report

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// Run is one run of a part of the benchmarks: it does steps, tells how they go on, and collects what they measure.
type Run struct {
	// Section is what its figures belong to.
	Section string
	// Progress takes what is told.
	Progress    io.Writer
	Figures     []Figure
	Comparisons []Comparison
}

// Step is a part of a run.
type Step struct {
	// Name is what the step is chosen by, and Title what is told of it.
	Name, Title string
	Do          func(context.Context) error
}

// Each does the steps whose names are among only, one after another; all of them when that is empty. It ends at the first that fails.
func (r *Run) Each(ctx context.Context, only []string, steps ...Step) error {
	for _, s := range steps {
		if len(only) > 0 && !slices.Contains(only, s.Name) {
			continue
		}
		if err := r.Step(ctx, s.Title, s.Do); err != nil {
			return err
		}
	}
	return nil
}

// Step does one step and tells how long it took.
func (r *Run) Step(ctx context.Context, title string, do func(context.Context) error) error {
	began := time.Now()
	r.Tell("%s", title)
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	r.Tell("  took %.0f s", time.Since(began).Seconds())
	return nil
}

// Tell writes a line of progress.
func (r *Run) Tell(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Progress, format+"\n", args...) // a terminal that is gone ends the run by itself
}

// Note adds a figure.
func (r *Run) Note(f Figure) {
	f.Section = r.Section
	r.Figures = append(r.Figures, f)
	r.Tell("  %s: %.4g %s", f.Name, f.Value, f.Unit)
}
