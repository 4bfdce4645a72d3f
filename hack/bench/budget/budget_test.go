package budget

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/bench/report"
)

func of(name string, allocs, bytes float64) Budget {
	return Of([]report.Result{{Name: name, Metrics: map[string]float64{"allocs/op": allocs, "B/op": bytes, "ns/op": 5}}})
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		measured Budget
		word     string
	}{
		"the same":         {of("a", 100, 1000), ""},
		"a little more":    {of("a", 110, 1100), ""},
		"a little less":    {of("a", 90, 900), ""},
		"more allocations": {of("a", 111, 1000), "TOO MUCH"},
		"more bytes":       {of("a", 100, 1101), "TOO MUCH"},
		"far less":         {of("a", 89, 1000), "LESS"},
		"another":          {of("b", 100, 1000), "NOT IN BOTH"},
		"none":             {Budget{}, "NOT IN BOTH"},
	} {
		var out strings.Builder
		err := of("a", 100, 1000).Check(&out, c.measured)
		if (c.word == "") != (err == nil) || err != nil && !errors.Is(err, ErrDiffers) || !strings.Contains(out.String(), c.word) {
			t.Errorf("%s: %v\n%s", name, err, &out)
		}
	}
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "budget.json")
	want := of("a", 100, 1000)
	if err := want.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := Read(file)
	if err != nil || !reflect.DeepEqual(got, want) || got["a"]["ns/op"] != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Read(file + "x"); err == nil {
		t.Error("a file that is not there was read")
	}
}
