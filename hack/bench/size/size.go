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

	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

// Options say how much to measure.
type Options struct {
	// Objects is how many clients and how many grants there are at most.
	Objects int
	// Steps are what to measure, of none, grants, sweep, reconcile, few, many, all and strangers; everything when empty. What the others are compared with
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
	*report.Run
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
	b := &bench{Options: o, Site: s, Run: &report.Run{Section: "size", Progress: o.Out}}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := b.Step(ctx, "Preparing the objects that are copied", b.prepare); err != nil {
		return nil, err
	}
	err = b.Each(ctx, o.Steps,
		report.Step{Name: "none", Title: "A server with no client", Do: b.withNone},
		report.Step{Name: "grants", Title: "Grants, live", Do: b.withGrants},
		report.Step{Name: "sweep", Title: "Grants, expired: the controller sweeps", Do: b.sweep},
		report.Step{Name: "reconcile", Title: "New clients: the controller reconciles", Do: b.reconcile},
		report.Step{Name: "few", Title: "A server with few clients", Do: b.withFew},
		report.Step{Name: "many", Title: "A server with many clients", Do: b.withMany},
		report.Step{Name: "all", Title: "A server with many clients and grants", Do: b.withAll},
		report.Step{Name: "strangers", Title: "A server that strangers ask", Do: b.withStrangers},
	)
	return b.Figures, err
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

// note adds a figure, with a target if one is given.
func (b *bench) note(name string, value float64, unit string, target ...func(*report.Figure)) {
	f := report.Figure{Name: name, Value: value, Unit: unit}
	for _, set := range target {
		set(&f)
	}
	b.Note(f)
}

func atMost(v float64) func(*report.Figure)  { return func(f *report.Figure) { f.AtMost = v } }
func atLeast(v float64) func(*report.Figure) { return func(f *report.Figure) { f.AtLeast = v } }
