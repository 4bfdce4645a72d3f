package report

import (
	"strings"
	"testing"
)

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		figure Figure
		want   string
	}{
		{Figure{Value: 3}, ""},
		{Figure{Value: 15, AtMost: 15}, "≤ 15, met"},
		{Figure{Value: 15.1, AtMost: 15}, "≤ 15, NOT MET"},
		{Figure{Value: 0.8, AtLeast: 0.8}, "≥ 0.8, met"},
		{Figure{Value: 0.7, AtLeast: 0.8}, "≥ 0.8, NOT MET"},
	} {
		if got := c.figure.target(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.figure, got, c.want)
		}
	}
}

func TestTableOfFigures(t *testing.T) {
	var out strings.Builder
	err := Figures(&out, []Figure{{Section: "size", Name: "start to ready", Value: 0.41234, Unit: "s", AtMost: 1}, {Section: "size", Name: "clients", Value: 100_000}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"start to ready  0.412   s     ≤ 1, met", "100000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
