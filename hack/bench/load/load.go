// Package load measures single requests against the least that a server does for them (package ceiling), with few clients and grants and with
// many. What is measured has one core, and the load the other; contestants take turns.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/pinned"
	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/rounds"
	"github.com/latchkey-io/latchkey/hack/bench/site"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// Options say what to measure.
type Options struct {
	// Steps are what to measure, of static, ES256, RS256, introspection, review and many; everything when empty.
	Steps []string
	// Rounds is how often each contestant has its turn, and Turn how long that is.
	Rounds int
	Turn   time.Duration
	// Objects is how many clients, and how many grants, are there in the step `many`. Otherwise there are few.
	Objects int
	// Peers says whether other servers take part, which npm installs.
	Peers bool
	// Profiles is a directory for profiles of processor time, none when it is empty.
	Profiles string
	// Out takes the progress.
	Out io.Writer
}

// Targets.
const (
	signES256Target = 0.80
	signRS256Target = 0.95
	seenTarget      = 2
	firstTarget     = 0.85
	fallTarget      = 0.90
)

// bench is one run.
type bench struct {
	Options
	*site.Site
	*report.Run
	root    string
	server  *site.Program
	ceiling *process.Process
	// plain and review are the addresses of the ceiling.
	plain, review string
	programs      pinned.Programs
}

// Run measures. What was measured until a failure is returned with it.
func Run(ctx context.Context, o Options) (_ []report.Figure, _ []report.Comparison, err error) {
	b := &bench{Options: o, Run: &report.Run{Section: "load", Progress: o.Out}}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.Step(ctx, "Preparing", b.prepare); err != nil {
		return nil, nil, err
	}
	err = b.Each(ctx, o.Steps,
		report.Step{Name: "static", Title: "A static answer", Do: b.static},
		report.Step{Name: "ES256", Title: "client_credentials, ES256", Do: b.signES256},
		report.Step{Name: "RS256", Title: "client_credentials, RS256", Do: b.signRS256},
		report.Step{Name: "introspection", Title: "Introspection", Do: b.introspection},
		report.Step{Name: "review", Title: "TokenReview", Do: b.tokenReview},
		report.Step{Name: "many", Title: fmt.Sprintf("With %d clients and as many grants", o.Objects), Do: b.withMany},
	)
	return b.Figures, b.Comparisons, err
}

// stop ends all that runs.
func (b *bench) stop() error {
	err := b.programs.Stop()
	if b.server != nil {
		err = errors.Join(err, b.server.Close())
	}
	if b.Site != nil {
		err = errors.Join(err, b.Stop())
	}
	return err
}

func (b *bench) rules() *rounds.Rules { return &rounds.Rules{Rounds: b.Rounds, Turn: b.Turn} }

// compare has contestants take turns and adds what came of it; then Latchkey, the second, is profiled, if that is wanted.
func (b *bench) compare(ctx context.Context, work string, target float64, contestants []rounds.Contestant) error {
	standings, err := b.rules().Compare(ctx, contestants)
	if err != nil {
		return err
	}
	for _, f := range rounds.Figures(work, target, standings) {
		b.Note(f)
	}
	b.Comparisons = append(b.Comparisons, rounds.Comparison(work, target, standings))
	return b.profile(ctx, work, &contestants[1])
}

// static measures what the HTTP server and the generator can do, and which of them is the limit: their shares of a core.
func (b *bench) static(ctx context.Context) error {
	contestant := b.onCeiling(wire{b.post(staticRequest)}, "")
	standings, err := b.rules().Compare(ctx, []rounds.Contestant{contestant})
	if err != nil {
		return err
	}
	for _, f := range rounds.Figures("static POST reply of 700 B", 0, standings) {
		b.Note(f)
	}
	for _, p := range []struct {
		name string
		pid  int
	}{{"the server's", b.ceiling.PID()}, {"the generator's", os.Getpid()}} {
		share, err := b.share(ctx, p.pid, &contestant)
		if err != nil {
			return err
		}
		b.Note(report.Figure{Name: "static POST reply of 700 B: " + p.name + " share of its core", Value: share})
	}
	return nil
}

// share is how much of a core a process has while a contestant has a turn.
func (b *bench) share(ctx context.Context, pid int, c *rounds.Contestant) (float64, error) {
	before, err := site.ProcessorTime(pid)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := b.rules().Take(ctx, c); err != nil {
		return 0, err
	}
	elapsed := time.Since(began)
	after, err := site.ProcessorTime(pid)
	return (after - before).Seconds() / elapsed.Seconds(), err
}
