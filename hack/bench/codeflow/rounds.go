package codeflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/generator"
)

// connections is how many there are, each with one flow at a time.
const connections = 32

// contestant is somebody who does a kind of work.
type contestant struct {
	name string
	dial generator.Dial
	// before is called before each turn; nil for nothing.
	before func() error
}

// standing is what a contestant came to over all rounds: medians.
type standing struct {
	name string
	// rate is in flows a second, ratio that in proportion to the first contestant in the same round.
	rate, ratio float64
	// p50 and p99 are of the time that a flow took, in milliseconds; tail is how many p50 a p99 is.
	p50, p99, tail float64
}

// compare has all contestants do their work in turn, for so many rounds, the first of which does not count. Who is first in one
// round is last in the next, so that what drifts does not favour anybody.
func (b *bench) compare(ctx context.Context, contestants []contestant) ([]standing, error) {
	results := make([][]*generator.Result, len(contestants))
	order := make([]int, len(contestants))
	for i := range order {
		order[i] = i
	}
	for round := range b.Rounds + 1 {
		for _, i := range order {
			result, err := b.turn(ctx, &contestants[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contestants[i].name, err)
			}
			if round > 0 {
				results[i] = append(results[i], result)
			}
		}
		slices.Reverse(order)
	}
	var standings []standing
	for i, c := range contestants {
		standings = append(standings, stand(c.name, results[i], results[0]))
	}
	return standings, nil
}

// warmup is for how long flows are done before they count, in proportion to how long they do then.
const warmup = 0.2

func (b *bench) turn(ctx context.Context, c *contestant) (*generator.Result, error) {
	if c.before != nil {
		if err := c.before(); err != nil {
			return nil, err
		}
	}
	load := generator.Load{Dial: c.dial, Connections: connections, Warmup: time.Duration(warmup * float64(b.Turn)), Duration: b.Turn}
	return load.Run(ctx)
}

func stand(name string, own, first []*generator.Result) standing {
	of := func(f func(i int) float64) float64 {
		var values []float64
		for i := range own {
			values = append(values, f(i))
		}
		return median(values)
	}
	quantile := func(i int, q float64) float64 {
		return float64(own[i].Latency.ValueAtQuantile(q)) / float64(time.Millisecond)
	}
	return standing{
		name:  name,
		rate:  of(func(i int) float64 { return own[i].Rate() }),
		ratio: of(func(i int) float64 { return own[i].Rate() / first[i].Rate() }),
		p50:   of(func(i int) float64 { return quantile(i, 50) }),
		p99:   of(func(i int) float64 { return quantile(i, 99) }),
		tail:  of(func(i int) float64 { return quantile(i, 99) / quantile(i, 50) }),
	}
}

// median is the one in the middle, the mean of two of an even number.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
