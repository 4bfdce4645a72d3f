package micro

import (
	"reflect"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/bench/report"
)

func TestParse(t *testing.T) {
	const output = `goos: linux
pkg: github.com/latchkey-io/latchkey/server/token
cpu: some
BenchmarkSign/ES256-2         	   10000	     52000.5 ns/op	    6100 B/op	      80 allocs/op
BenchmarkVerify/two-keys-16   	    5000	    110000 ns/op	      3.000 writes/flow
PASS
ok  	github.com/latchkey-io/latchkey/server/token	2.1s
`
	want := []report.Result{
		{Package: "server/token", Name: "Sign/ES256", Iterations: 10000, Metrics: map[string]float64{"ns/op": 52000.5, "B/op": 6100, "allocs/op": 80}},
		{Package: "server/token", Name: "Verify/two-keys", Iterations: 5000, Metrics: map[string]float64{"ns/op": 110000, "writes/flow": 3}},
	}
	got, err := parse(strings.NewReader(output))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseRefusesNonsense(t *testing.T) {
	for _, line := range []string{"BenchmarkX-2 many 1 ns/op", "BenchmarkX-2 10 fast ns/op"} {
		if _, err := parse(strings.NewReader(line)); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

func TestWithoutProcessors(t *testing.T) {
	for name, want := range map[string]string{"A-8": "A", "A": "A", "A/with-dash": "A/with-dash", "A/1-2-16": "A/1-2"} {
		if got := withoutProcessors(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
