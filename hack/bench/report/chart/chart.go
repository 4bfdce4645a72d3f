// Package chart draws what the load benchmark came to as an SVG that can be read in the light and in the dark: a group of bars for each
// kind of work, all in proportion to the ceiling of that work.
package chart

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
)

// Kind says what a bar stands for.
type Kind string

// The kinds of bars.
const (
	Ceiling  Kind = "ceiling"  // what Go's HTTP server does with the same cryptography
	Latchkey Kind = "latchkey" // ours
	Peer     Kind = "peer"     // another server, measured in the same run
	Quoted   Kind = "quoted"   // another server, measured before
)

// Bar is one server at one kind of work.
type Bar struct {
	Name string
	Kind Kind
	// Ratio is the rate in proportion to the ceiling.
	Ratio float64
	// Note is written behind the ratio, such as the rate itself; empty for nothing.
	Note string
}

// Group is one kind of work.
type Group struct {
	Name string
	// Target is the least ratio that Latchkey is held to; zero for none.
	Target float64
	Bars   []Bar
}

// Chart is what is drawn.
type Chart struct {
	Title string
	// Method says in a few lines how it was measured.
	Method []string
	Groups []Group
}

// Measures of the drawing, in pixels.
const (
	width       = 860
	margin      = 24
	namesWidth  = 190
	notesWidth  = 150
	barsLeft    = margin + namesWidth
	barsRight   = width - margin - notesWidth
	titleHeight = 34
	lineHeight  = 17
	groupTitle  = 30
	barHeight   = 15
	barPitch    = 20
	groupGap    = 14
	legend      = 34
	letterWidth = 7
)

//go:embed chart.svg.tmpl
var files embed.FS

// Write draws the chart.
func Write(w io.Writer, c *Chart) error {
	// Values are escaped as in HTML, which SVG shares the rules of for text and attributes.
	t, err := template.ParseFS(files, "chart.svg.tmpl")
	if err != nil {
		return err
	}
	d, err := layOut(c)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, d); err != nil {
		return fmt.Errorf("chart: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// drawing is a chart whose parts have their places.
type drawing struct {
	*Chart
	Width, Height, Margin, NamesRight, BarHeight int
	Lines                                        []placedLine
	Legend                                       []placedKey
	Grid                                         []tick
	GridTop, GridBottom                          int
	Drawn                                        []placedGroup
}

type placedLine struct {
	Y    int
	Text string
}

type placedKey struct {
	X, Y int
	Kind Kind
	Text string
}

type tick struct {
	X     float64
	Label string
	One   bool
}

type placedGroup struct {
	Name string
	Y    int
	Bars []placedBar
}

type placedBar struct {
	Bar
	Y, TextY, X int
	// Width is the bar's, End where its figure begins.
	Width, End float64
	Figure     string
	// Target is where the tick of the target is, zero for none.
	Target              float64
	TickTop, TickBottom int
}

// layOut gives everything its place, from top to bottom.
func layOut(c *Chart) (*drawing, error) {
	d := &drawing{Chart: c, Width: width, Margin: margin, NamesRight: barsLeft - 8, BarHeight: barHeight}
	y := margin + titleHeight
	for _, text := range c.Method {
		d.Lines = append(d.Lines, placedLine{y, text})
		y += lineHeight
	}
	y += legend / 2
	d.layOutLegend(y)
	y += legend / 2
	scale, most := scaleOf(c)
	d.GridTop = y + groupTitle - 4
	for _, g := range c.Groups {
		placed, bottom, err := layOutGroup(&g, y, scale)
		if err != nil {
			return nil, err
		}
		d.Drawn = append(d.Drawn, placed)
		y = bottom + groupGap
	}
	d.GridBottom = y - groupGap
	for i := 0; float64(i)*step(most) <= most+1e-9; i++ {
		at := float64(i) * step(most)
		d.Grid = append(d.Grid, tick{barsLeft + at*scale, fmt.Sprintf("%g", at), at == 1})
	}
	d.Height = y + margin
	return d, nil
}

func layOutGroup(g *Group, y int, scale float64) (placedGroup, int, error) {
	placed := placedGroup{Name: g.Name, Y: y + groupTitle - 10}
	y += groupTitle
	for _, bar := range g.Bars {
		if math.IsNaN(bar.Ratio) || bar.Ratio < 0 || math.IsInf(bar.Ratio, 0) {
			return placed, 0, fmt.Errorf("chart: %s, %s: %v is not a ratio", g.Name, bar.Name, bar.Ratio)
		}
		placed.Bars = append(placed.Bars, place(bar, g.Target, y, scale))
		y += barPitch
	}
	return placed, y, nil
}

func (d *drawing) layOutLegend(y int) {
	x := margin
	for _, key := range []struct {
		kind Kind
		text string
	}{
		{Ceiling, "ceiling = 1"}, {Latchkey, "Latchkey"}, {Peer, "others, in this run"}, {Quoted, "others, measured before"}, {"target", "target"},
	} {
		d.Legend = append(d.Legend, placedKey{x, y, key.kind, key.text})
		x += 40 + 8*len(key.text)
	}
}

// scaleOf is how many pixels a ratio of 1 takes, and the greatest ratio on the axis.
func scaleOf(c *Chart) (scale, most float64) {
	most = 1.0
	for _, g := range c.Groups {
		most = max(most, g.Target)
		for _, bar := range g.Bars {
			most = max(most, bar.Ratio)
		}
	}
	most = math.Ceil(most/step(most)) * step(most)
	return (barsRight - barsLeft) / most, most
}

// step is the distance of the lines of the grid.
func step(most float64) float64 {
	if most > 2 {
		return 0.5
	}
	return 0.25
}

func place(bar Bar, target float64, y int, scale float64) placedBar {
	p := placedBar{Bar: bar, Y: y, TextY: y + barHeight - 3, X: barsLeft, Width: max(bar.Ratio*scale, 1), Figure: ratio(bar.Ratio)}
	p.End = barsLeft + p.Width + 6
	if bar.Kind == Latchkey && target > 0 {
		p.Target, p.TickTop, p.TickBottom = barsLeft+target*scale, y-3, y+barHeight+3
		if length := len(p.Figure) + len(bar.Note) + len(" · "); p.End < p.Target+6 && p.End+float64(length*letterWidth) > p.Target-6 {
			p.End = p.Target + 6 // else the figure would hide the tick
		}
	}
	return p
}

// ratio has two digits that count.
func ratio(v float64) string {
	switch {
	case v == 0 || v >= 0.095:
		return fmt.Sprintf("%.2f", v)
	case v >= 0.0095:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.1g", v)
}
