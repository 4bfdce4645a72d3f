package valkey

import (
	"context"
	"errors"
	"slices"
	"testing"

	driver "github.com/valkey-io/valkey-go"
)

// Batches are bounded and in order, nothing is sent that nobody waits for, and a lane ends when nothing is left.
func TestBatches(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	l := &lanes{most: 1, batch: 2, open: 1} // whose one lane is busy
	var all []*pending
	for _, ctx := range []context.Context{t.Context(), gone, t.Context(), t.Context(), gone} {
		p := &pending{ctx: ctx}
		all = append(all, p)
		l.put(p)
	}
	for i, want := range [][]*pending{{all[0], all[2]}, {all[3]}, nil} {
		if got := l.take(); !slices.Equal(got, want) {
			t.Errorf("batch %d: %v, want %v", i, got, want)
		}
	}
	if l.open != 0 || len(l.waiting) != 0 {
		t.Errorf("%d lanes are open, %d writes wait", l.open, len(l.waiting))
	}
}

// inMode is a client that says what it is connected to.
type inMode struct {
	driver.Client
	mode driver.ClientMode
}

func (c inMode) Mode() driver.ClientMode { return c.mode }

func TestLanesAreBounded(t *testing.T) {
	for mode, want := range map[driver.ClientMode][2]int{driver.ClientModeStandalone: {4, 64}, driver.ClientModeSentinel: {4, 64}, driver.ClientModeCluster: {64, 1}} {
		if l := newLanes(inMode{mode: mode}); l.most != want[0] || l.batch != want[1] {
			t.Errorf("%s: %d lanes of %d", mode, l.most, l.batch)
		}
	}
}

// Who gives up is told that the outcome is not known.
func TestAWriteIsGivenUpWithItsRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := &lanes{most: 1, batch: 1, open: 1}
	if _, err := l.do(ctx, nil); !errors.Is(err, errNoAnswer) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
