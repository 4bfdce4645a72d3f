package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// sample is a chart with all that there can be in one.
func sample() *Chart {
	return &Chart{
		Title:  "What one core does",
		Method: []string{"Server on one core, load from the other; 32 connections, \"paired\" rounds & medians <here>."},
		Groups: []Group{
			{Name: "client_credentials, ES256", Target: 0.8, Bars: []Bar{
				{"ceiling", Ceiling, 1, "9,100/s"}, {"Latchkey", Latchkey, 0.84, "7,600/s"}, {"node-oidc-provider 9.13.3", Peer, 0.13, "1,200/s"},
				{"luikyv/go-oidc", Quoted, 0.62, "2026-11"}, {"Ory Hydra", Quoted, 0.01, "2026-11"},
			}},
			{Name: "TokenReview of a token seen before", Target: 2, Bars: []Bar{{"ceiling, verifying", Ceiling, 1, "4,500/s"}, {"Latchkey", Latchkey, 2.3, ""}}},
		},
	}
}

func draw(t *testing.T, c *Chart) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// element is what the tests look at.
type element struct {
	class, text string
	x, width    float64
}

// elements reads the drawing as XML, strictly.
func elements(t *testing.T, svg string) (all []element) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			var e element
			for _, a := range token.Attr {
				number, _ := strconv.ParseFloat(a.Value, 64) // zero for what is no number
				switch a.Name.Local {
				case "class":
					e.class = a.Value
				case "x", "x1":
					e.x = number
				case "width":
					e.width = number
				}
			}
			all = append(all, e)
		case xml.CharData:
			if len(all) > 0 {
				all[len(all)-1].text += strings.TrimSpace(string(token))
			}
		}
	}
}

func find(all []element, match func(element) bool) (found []element) {
	for _, e := range all {
		if match(e) {
			found = append(found, e)
		}
	}
	return found
}

func TestEveryBarIsDrawnToScale(t *testing.T) {
	all := elements(t, draw(t, sample()))
	widths := map[string]float64{}
	for _, class := range []string{"ceiling", "latchkey", "peer", "quoted"} {
		bars := find(all, func(e element) bool { return e.class == class && e.x == barsLeft })
		if len(bars) == 0 {
			t.Fatalf("no bar of class %s", class)
		}
		widths[class] = bars[0].width
	}
	for class, want := range map[string]float64{"latchkey": 0.84, "peer": 0.13, "quoted": 0.62} {
		if got := widths[class] / widths["ceiling"]; math.Abs(got-want) > 0.005 {
			t.Errorf("%s: %.3f of the ceiling, want %v", class, got, want)
		}
	}
	ticks := find(all, func(e element) bool { return e.class == "target" && e.x > 0 })
	if len(ticks) != 2 || math.Abs((ticks[0].x-barsLeft)/widths["ceiling"]-0.8) > 0.005 {
		t.Errorf("ticks of targets: %+v", ticks)
	}
	for _, e := range all {
		if e.x+e.width > width {
			t.Errorf("%+v is outside", e)
		}
	}
}

// What is written beside a bar does not hide where the bar should have reached.
func TestTicksOfTargetsCanBeSeen(t *testing.T) {
	for _, r := range []float64{0.4, 0.5, 0.58, 0.65, 0.7, 0.8} {
		bar := place(Bar{Kind: Latchkey, Ratio: r, Note: "4733/s"}, 0.7, 0, 472)
		if bar.End < bar.Target+6 && bar.End+12*letterWidth > bar.Target-6 {
			t.Errorf("%v: the figure begins at %v, the tick is at %v", r, bar.End, bar.Target)
		}
	}
}

func TestTextIsEscaped(t *testing.T) {
	all := elements(t, draw(t, sample()))
	for _, want := range []string{"What one core does", "Server on one core, load from the other; 32 connections, \"paired\" rounds & medians <here>.", "0.84 · 7,600/s", "others, measured before"} {
		if len(find(all, func(e element) bool { return e.text == want })) == 0 {
			t.Errorf("no text %q", want)
		}
	}
}

func TestLightAndDark(t *testing.T) {
	svg := draw(t, sample())
	_, dark, found := strings.Cut(svg, "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("there are no colours for the dark")
	}
	for _, name := range []string{"--ground:", "--ink:", "--faint:", "--line:", "--ceiling:", "--ours:", "--peer:", "--tick:"} {
		if strings.Count(svg, name) != 2 || !strings.Contains(dark, name) {
			t.Errorf("%s is not given for both", name)
		}
	}
}

func TestWhatIsNoRatioIsRefused(t *testing.T) {
	for _, r := range []float64{math.NaN(), math.Inf(1), -1} {
		if err := Write(io.Discard, &Chart{Groups: []Group{{Bars: []Bar{{Ratio: r}}}}}); err == nil {
			t.Errorf("%v was drawn", r)
		}
	}
}

func TestRatiosHaveTwoDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 0.006: "0.006", 0.0104: "0.010", 0.13: "0.13", 1: "1.00", 2.345: "2.35"} {
		if got := ratio(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
