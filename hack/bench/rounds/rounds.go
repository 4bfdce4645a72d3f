// Package rounds has contestants do the same work in turns, and says what each came to in proportion to the first.
package rounds

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/generator"
)

// Connections is how many there are, each with one call at a time.
const Connections = 32

// Contestant is somebody who does a kind of work.
type Contestant struct {
	Name string
	Dial generator.Dial
	// Before is called before each turn; nil for nothing.
	Before func() error
	// Connections is how many this one has, Units how much a call counts for; zero for Connections and for one.
	Connections, Units int
	// Supply ends a turn after so many calls; zero for no end.
	Supply int
}

// Rules say how contestants are compared.
type Rules struct {
	// Rounds is how often each has its turn, and Turn how long that is.
	Rounds int
	Turn   time.Duration
}

// Standing is what a contestant came to over all rounds: medians.
type Standing struct {
	Name string
	// Rate is in calls a second, Ratio that in proportion to the first contestant in the same round.
	Rate, Ratio float64
	// P50 and P99 are of the time that a call took, in milliseconds; Tail is how many p50 a p99 is.
	P50, P99, Tail float64
}

// Compare has all contestants do their work in turn, for so many rounds, the first of which does not count. Who is first in one
// round is last in the next, so that what drifts does not favour anybody.
func (r *Rules) Compare(ctx context.Context, contestants []Contestant) ([]Standing, error) {
	results := make([][]*generator.Result, len(contestants))
	order := make([]int, len(contestants))
	for i := range order {
		order[i] = i
	}
	for round := range r.Rounds + 1 {
		for _, i := range order {
			result, err := r.Take(ctx, &contestants[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contestants[i].Name, err)
			}
			if round > 0 {
				results[i] = append(results[i], result)
			}
		}
		slices.Reverse(order)
	}
	var standings []Standing
	for i, c := range contestants {
		standings = append(standings, stand(c.Name, results[i], results[0]))
	}
	return standings, nil
}

// warmup is for how long calls are made before they count, in proportion to how long they do then.
const warmup = 0.2

// Take has one contestant do its work for a turn.
func (r *Rules) Take(ctx context.Context, c *Contestant) (*generator.Result, error) {
	if c.Before != nil {
		if err := c.Before(); err != nil {
			return nil, err
		}
	}
	load := generator.Load{
		Dial: c.Dial, Connections: cmp.Or(c.Connections, Connections), Supply: c.Supply,
		Warmup: time.Duration(warmup * float64(r.Turn)), Duration: r.Turn,
	}
	result, err := load.Run(ctx)
	if err == nil {
		result.Calls *= max(c.Units, 1)
	}
	return result, err
}

func stand(name string, own, first []*generator.Result) Standing {
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
	return Standing{
		Name:  name,
		Rate:  of(func(i int) float64 { return own[i].Rate() }),
		Ratio: of(func(i int) float64 { return own[i].Rate() / first[i].Rate() }),
		P50:   of(func(i int) float64 { return quantile(i, 50) }),
		P99:   of(func(i int) float64 { return quantile(i, 99) }),
		Tail:  of(func(i int) float64 { return quantile(i, 99) / quantile(i, 50) }),
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
