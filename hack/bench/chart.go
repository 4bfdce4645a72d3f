package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/latchkey-io/latchkey/hack/bench/peers"
	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/report/chart"
)

// draw writes the comparisons of a run, and what others were measured to make of the same work before, as a chart.
func draw(file string, r *report.Report) error {
	c := &chart.Chart{
		Title: "What one core does, in proportion to the ceiling",
		Method: []string{
			"The ceiling is a minimal handler of Go's HTTP server that does the same cryptography and answers as much. The server has one core, and",
			"the load the other: 32 connections that are kept, each with one request at a time. All take turns in one run; medians of the rounds.",
			fmt.Sprintf("Measured on %s with %s, %s. Hatched: measured in %s.", r.Time.Format("2006-01-02"), r.GoVersion, r.Platform, peers.QuotedIn),
		},
	}
	for i := range r.Comparisons {
		c.Groups = append(c.Groups, group(&r.Comparisons[i]))
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := chart.Write(f, c); err != nil {
		_ = f.Close() // the other error says more
		return err
	}
	return f.Close()
}

// group is one kind of work, with those that were measured before at its end.
func group(c *report.Comparison) chart.Group {
	g := chart.Group{Name: c.Work, Target: c.Target}
	for i, e := range c.Entries {
		kind := chart.Peer
		switch {
		case i == 0:
			kind = chart.Ceiling
		case strings.HasPrefix(e.Server, "Latchkey"):
			kind = chart.Latchkey
		}
		g.Bars = append(g.Bars, chart.Bar{Name: e.Server, Kind: kind, Ratio: e.Ratio, Note: fmt.Sprintf("%.0f/s", e.Rate)})
	}
	for _, q := range peers.Quoted() {
		if string(q.Work) == c.Work {
			g.Bars = append(g.Bars, chart.Bar{Name: q.Server, Kind: chart.Quoted, Ratio: q.Ratio, Note: q.Remark})
		}
	}
	return g
}
