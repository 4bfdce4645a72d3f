package rounds

import "github.com/latchkey-io/latchkey/hack/bench/report"

// TailTarget is how many p50 a p99 of Latchkey is at most.
const TailTarget = 3

// Figures are what a comparison came to; the second contestant is Latchkey, the first what it is compared with. target is the least ratio,
// zero for none.
func Figures(work string, target float64, standings []Standing) []report.Figure {
	var figures []report.Figure
	for i, s := range standings {
		figures = append(figures, report.Figure{Name: work + ": " + s.Name, Value: s.Rate, Unit: "/s"})
		ratio := report.Figure{Name: work + ": " + s.Name + " × " + standings[0].Name, Value: s.Ratio}
		tail := report.Figure{Name: work + ": " + s.Name + ", p99 × p50", Value: s.Tail}
		if i == 1 {
			ratio.AtLeast, tail.AtMost = target, TailTarget
		}
		if i > 0 {
			figures = append(figures, ratio)
		}
		figures = append(figures,
			report.Figure{Name: work + ": " + s.Name + ", p50", Value: s.P50, Unit: "ms"},
			report.Figure{Name: work + ": " + s.Name + ", p99", Value: s.P99, Unit: "ms"}, tail)
	}
	return figures
}

// Comparison is what standings come to in a chart.
func Comparison(work string, target float64, standings []Standing) report.Comparison {
	c := report.Comparison{Work: work, Target: target}
	for _, s := range standings {
		c.Entries = append(c.Entries, report.Entry{Server: s.Name, Rate: s.Rate, Ratio: s.Ratio, P50: s.P50, P99: s.P99})
	}
	return c
}
