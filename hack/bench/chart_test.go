package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/bench/peers"
	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/report/chart"
)

func TestChartTellsMeasuredFromQuoted(t *testing.T) {
	c := report.Comparison{Work: string(peers.CodeFlow), Target: 0.7, Entries: []report.Entry{
		{Server: "ceiling", Rate: 4000, Ratio: 1}, {Server: "Latchkey", Rate: 3000, Ratio: 0.75}, {Server: "node-oidc-provider 9", Rate: 300, Ratio: 0.075},
	}}
	kinds := map[string]chart.Kind{}
	for _, b := range group(&c).Bars {
		kinds[b.Name] = b.Kind
	}
	for name, want := range map[string]chart.Kind{
		"ceiling": chart.Ceiling, "Latchkey": chart.Latchkey, "node-oidc-provider 9": chart.Peer, "Dex": chart.Quoted, "luikyv/go-oidc": chart.Quoted,
	} {
		if kinds[name] != want {
			t.Errorf("%s is drawn as %q, want %q", name, kinds[name], want)
		}
	}
	file := filepath.Join(t.TempDir(), "chart.svg")
	if err := draw(file, &report.Report{Comparisons: []report.Comparison{c}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "0.75 · 3000/s") {
		t.Errorf("%s, %v", text, err)
	}
}
