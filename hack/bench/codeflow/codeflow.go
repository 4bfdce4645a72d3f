// Package codeflow measures code flows with PKCE by users who are signed in and have approved before, against what bounds them: the least
// that a server does (package flows), the rate at which kube-apiserver creates grants, and a server that only sets a key in Valkey. What is
// measured has one core, and the load the other; contestants take turns.
package codeflow

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/flows"
	"github.com/latchkey-io/latchkey/hack/bench/peers"
	"github.com/latchkey-io/latchkey/hack/bench/pinned"
	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/rounds"
	"github.com/latchkey-io/latchkey/hack/bench/site"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// Options say what to measure.
type Options struct {
	// Steps are what to measure, of memory, kubernetes, valkey and grants; everything when empty.
	Steps []string
	// Rounds is how often each contestant has its turn, and Turn how long that is.
	Rounds int
	Turn   time.Duration
	// Grants is how many are alive at last in the step of that name.
	Grants int
	// Peers says whether other servers take part, which npm installs.
	Peers bool
	// Profiles is a directory for profiles of processor time, none when it is empty.
	Profiles string
	// Out takes the progress.
	Out io.Writer
}

// Targets.
const (
	memoryTarget = 0.70
	storeTarget  = 0.80
	fallTarget   = 0.90
)

// bench is one run.
type bench struct {
	Options
	*site.Site
	*report.Run
	root string
	// valkey is the address of the server of Valkey, ceilingProgram a file.
	valkey, ceilingProgram string
	programs               pinned.Programs
}

// Run measures. What was measured until a failure is returned with it.
func Run(ctx context.Context, o Options) (_ []report.Figure, _ []report.Comparison, err error) {
	b := &bench{Options: o, Run: &report.Run{Section: "code flow", Progress: o.Out}}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.Step(ctx, "Preparing", b.prepare); err != nil {
		return nil, nil, err
	}
	err = b.Each(ctx, o.Steps,
		report.Step{Name: "memory", Title: "Code flows, grants in memory", Do: b.inMemory},
		report.Step{Name: "valkey", Title: "Code flows, grants in Valkey", Do: b.inValkey},
		report.Step{Name: "kubernetes", Title: "Code flows, grants in Kubernetes", Do: b.inKubernetes},
		report.Step{Name: "grants", Title: "Code flows, with few and many grants in memory", Do: b.withGrants},
	)
	return b.Figures, b.Comparisons, err
}

// prepare starts everything but what is measured.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.root, err = build.Root(); err != nil {
		return err
	}
	if b.Site, err = site.Start(ctx, b.Out); err != nil {
		return err
	}
	if err := b.Prepare(ctx, nil); err != nil {
		return err
	}
	if err := b.startValkey(ctx); err != nil {
		return err
	}
	b.ceilingProgram = filepath.Join(b.Dir, "ceiling")
	target := build.Target{Name: "ceiling", Dir: b.root, Package: "./hack/bench/flows/ceiling", Output: b.ceilingProgram}
	if err := target.Run(ctx, b.Out); err != nil {
		return err
	}
	if err := b.declare(ctx); err != nil {
		return err
	}
	return errors.Join(pinned.Pin(os.Getpid(), pinned.OtherCore), pinned.Children(pinned.OtherCore, "etcd", "kube-apiserver"))
}

// stop ends all that runs.
func (b *bench) stop() error {
	err := b.programs.Stop()
	if b.Site != nil {
		err = errors.Join(err, b.Stop())
	}
	return err
}

// noteStandings adds what a comparison came to.
func (b *bench) noteStandings(work string, target float64, standings []rounds.Standing) {
	for _, f := range rounds.Figures(work, target, standings) {
		b.Note(f)
	}
}

func (b *bench) rules() *rounds.Rules { return &rounds.Rules{Rounds: b.Rounds, Turn: b.Turn} }

// inMemory compares with the least that a server does, and with other servers.
func (b *bench) inMemory(ctx context.Context) (err error) {
	server, site, cookies, err := b.serve(ctx, "memory", "default", pinned.MeasuredCore)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	contestants, sizes, err := b.againstCeiling(ctx, site, cookies, "")
	if err != nil {
		return err
	}
	peer, err := b.peer(ctx)
	if err != nil {
		return err
	}
	standings, err := b.profiled(ctx, server, "flow-memory", append(contestants, peer...))
	if err != nil {
		return err
	}
	b.Tell("  a code has %d characters, the tokens %d and %d", sizes.Code, sizes.AccessToken, sizes.IDToken)
	b.noteStandings("code flow, memory", memoryTarget, standings)
	b.Comparisons = append(b.Comparisons, rounds.Comparison(string(peers.CodeFlow), memoryTarget, standings))
	return nil
}

// inValkey compares with the least that a server does, when that sets a key in the same server of Valkey for each flow.
func (b *bench) inValkey(ctx context.Context) (err error) {
	server, site, cookies, err := b.serve(ctx, "memory", inValkey, pinned.MeasuredCore)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	contestants, _, err := b.againstCeiling(ctx, site, cookies, b.valkey)
	if err != nil {
		return err
	}
	standings, err := b.profiled(ctx, server, "flow-valkey", contestants)
	if err != nil {
		return err
	}
	b.noteStandings("code flow, Valkey", storeTarget, standings)
	b.Comparisons = append(b.Comparisons, rounds.Comparison("code flow, grants in Valkey", storeTarget, standings))
	return nil
}

// againstCeiling are a ceiling and Latchkey, in that order.
func (b *bench) againstCeiling(ctx context.Context, s *flows.Site, cookies []string, valkey string) ([]rounds.Contestant, flows.Sizes, error) {
	client, err := s.Dial(ctx, cookies[0])
	if err != nil {
		return nil, flows.Sizes{}, err
	}
	tokens, err := client.Look()
	if err := errors.Join(err, client.Close()); err != nil {
		return nil, flows.Sizes{}, err
	}
	sizes := flows.SizesOf(tokens, cookies[0])
	ceiling, err := b.startCeiling(ctx, s, sizes, valkey)
	if err != nil {
		return nil, sizes, err
	}
	visitors, err := signIn(ctx, ceiling, rounds.Connections)
	if err != nil {
		return nil, sizes, err
	}
	return []rounds.Contestant{{Name: "ceiling", Dial: ceiling.Dialer(visitors, rounds.Connections)}, {Name: "Latchkey", Dial: s.Dialer(cookies, rounds.Connections)}}, sizes, nil
}
