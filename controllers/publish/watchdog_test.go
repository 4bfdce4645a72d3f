package publish

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
)

// at is a time so many seconds after the start of a test.
func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }

func TestWatchdogKnowsHowLongWatchesHaveBeenBroken(t *testing.T) {
	for name, c := range map[string]struct {
		failures []int
		asked    int
		stale    bool
	}{
		"nothing ever failed":                {nil, 1000, false},
		"broken for less than five minutes":  {[]int{0, 30, 60, 90, 120, 150, 180, 210, 240, 270}, 290, false},
		"broken for five minutes":            {[]int{0, 30, 60, 90, 120, 150, 180, 210, 240, 270, 299}, 301, true},
		"whole again":                        {[]int{0, 30, 60, 90, 120, 150, 180, 210, 240, 270, 299}, 360, false},
		"failures far apart are no breakage": {[]int{0, 100, 200, 300, 400}, 401, false},
		"broken anew":                        {[]int{0, 100, 130}, 140, false},
	} {
		var d Watchdog
		for _, s := range c.failures {
			d.Failed(at(s))
		}
		if got := d.Stale(at(c.asked)); got != c.stale {
			t.Errorf("%s: stale %t", name, got)
		}
	}
}

func TestStaleSnapshotIsNotServedAsTruth(t *testing.T) {
	holder, dog := &registry.Holder{}, &Watchdog{}
	p := &Publisher{config: Config{Holder: holder, Watchdog: dog, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}, world: newWorld()}
	p.serve(at(0))
	if holder.Load() == nil || p.Ready() != nil {
		t.Fatal("a fresh snapshot is not served")
	}
	for s := 0; s <= 310; s += 30 {
		dog.Failed(at(s))
	}
	p.serve(at(310))
	if holder.Load() != nil || p.Ready() == nil {
		t.Error("a stale snapshot is served")
	}
	p.serve(at(310 + 60))
	if holder.Load() == nil || p.Ready() != nil {
		t.Error("not served again after the watches are whole")
	}
}
