// Package size measures whole processes with many clients and grants over a real control plane: how long `latchkey server` takes to get
// ready and what it takes to be, how soon what is applied is honoured, how fast the controller reconciles and sweeps.
package size

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

// Options say how much to measure.
type Options struct {
	// Objects is how many clients and how many grants there are at most.
	Objects int
	// Steps are what to measure, of none, grants, sweep, reconcile, few, many and all; everything when empty. What the others are compared with
	// comes of none.
	Steps []string
	// Profiles is a directory for profiles, none when it is empty.
	Profiles string
	// Out takes the progress.
	Out io.Writer
}

// fewClients is the number of clients of an ordinary cluster, which has targets of its own.
const fewClients = 1000

// bench is one run.
type bench struct {
	Options
	*site.Site
	figures []report.Figure
	// empty is what a server takes without any client, resting is what the leading controller takes then; in bytes.
	empty, resting float64
	emptyHeap      heap
}

// Run measures. What was measured until a failure is returned with it.
func Run(ctx context.Context, o Options) (_ []report.Figure, err error) {
	if o.Objects < fewClients {
		return nil, fmt.Errorf("%d objects are too few: %d at least", o.Objects, fewClients)
	}
	s, err := site.Start(ctx, o.Out)
	if err != nil {
		return nil, err
	}
	b := &bench{Options: o, Site: s}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := b.step(ctx, "Preparing the objects that are copied", b.prepare); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		name, title string
		do          func(context.Context) error
	}{
		{"none", "A server with no client", b.withNone},
		{"grants", "Grants, live", b.withGrants},
		{"sweep", "Grants, expired: the controller sweeps", b.sweep},
		{"reconcile", "New clients: the controller reconciles", b.reconcile},
		{"few", "A server with few clients", b.withFew},
		{"many", "A server with many clients", b.withMany},
		{"all", "A server with many clients and grants", b.withAll},
	} {
		if len(o.Steps) > 0 && !slices.Contains(o.Steps, step.name) {
			continue
		}
		if err := b.step(ctx, step.title, step.do); err != nil {
			return b.figures, err
		}
	}
	return b.figures, nil
}

// step does one part of a run and tells how long it took.
func (b *bench) step(ctx context.Context, title string, do func(context.Context) error) error {
	began := time.Now()
	b.tell("%s", title)
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	b.tell("  took %.0f s", time.Since(began).Seconds())
	return nil
}

// prepare makes the objects that are copied, and looks at what the controller takes at rest meanwhile.
func (b *bench) prepare(ctx context.Context) error {
	return b.Prepare(ctx, func(ctx context.Context, controller *site.Program) error {
		m, err := rested(ctx, controller)
		b.resting = m.resident
		return err
	})
}

// file is where a profile of that name is kept: in the directory for profiles, else with the run's other files.
func (b *bench) file(name string) (string, error) {
	if b.Profiles == "" {
		return filepath.Join(b.Dir, name), nil
	}
	return filepath.Join(b.Profiles, name), os.MkdirAll(b.Profiles, 0o755)
}

func (b *bench) tell(format string, args ...any) {
	_, _ = fmt.Fprintf(b.Out, format+"\n", args...) // progress; a terminal that is gone ends the run by itself
}

// note adds a figure, with a target if one is given.
func (b *bench) note(name string, value float64, unit string, target ...func(*report.Figure)) {
	f := report.Figure{Section: "size", Name: name, Value: value, Unit: unit}
	for _, set := range target {
		set(&f)
	}
	b.figures = append(b.figures, f)
	b.tell("  %s: %.4g %s", name, value, unit)
}

func atMost(v float64) func(*report.Figure)  { return func(f *report.Figure) { f.AtMost = v } }
func atLeast(v float64) func(*report.Figure) { return func(f *report.Figure) { f.AtLeast = v } }
