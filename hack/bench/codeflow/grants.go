package codeflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/generator"
	"github.com/latchkey-io/latchkey/hack/bench/pinned"
	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/rounds"
)

// fillTime is how long it may take until so many grants are there.
const fillTime = 5 * time.Minute

// withGrants measures what flows lose when many grants are alive. The ceiling, which keeps as many ids, is measured in between, and what
// the machine gains or loses meanwhile is taken out by it.
func (b *bench) withGrants(ctx context.Context) (err error) {
	server, s, cookies, err := b.serve(ctx, "memory", "default", pinned.MeasuredCore)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	contestants, _, err := b.againstCeiling(ctx, s, cookies, "")
	if err != nil {
		return err
	}
	few, err := b.rules().Compare(ctx, contestants)
	if err != nil {
		return err
	}
	fill := generator.Load{Dial: s.Dialer(cookies, rounds.Connections), Connections: rounds.Connections, Duration: fillTime, Supply: b.Grants}
	if _, err := fill.Run(ctx); err != nil {
		return err
	}
	many, err := b.profiled(ctx, server, "flow-grants", contestants)
	if err != nil {
		return err
	}
	b.Note(report.Figure{Name: "code flow, memory, few grants: × ceiling", Value: few[1].Ratio})
	b.Note(report.Figure{Name: fmt.Sprintf("code flow, memory, more than %d grants: × ceiling", b.Grants), Value: many[1].Ratio})
	b.Note(report.Figure{Name: "code flow, memory: with many grants × with few", Value: many[1].Ratio / few[1].Ratio, AtLeast: fallTarget})
	return nil
}
