package main

import (
	"runtime"
	"testing"
)

func TestGarbageIsInProportionToWhatLivesAndToWhatThereIsToDo(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		made, live uint64 // made in the last second
		want       int
	}{
		{0, 0, 1600}, {0, mib, 1600}, {0, 16 * mib, 200}, {0, 64 * mib, 100}, {0, 4 << 30, 100},
		{32 * mib, 16 * mib, 400}, {64 * mib, 64 * mib, 200},
		{128 * mib, 256 * mib, 100}, {192 * mib, 256 * mib, 150},
		{4 << 30, 64 * mib, 500}, {4 << 30, 128 * mib, 300}, {4 << 30, 256 * mib, 200}, {4 << 30, 4 << 30, 106},
	} {
		var h heap
		if got := h.seen(test.made, test.live); got != test.want {
			t.Errorf("%d MiB made, %d MiB live: %d%%, want %d%%", test.made/mib, test.live/mib, got, test.want)
		}
	}
}

// A second with nothing to do doesn't have the next busy one pay for collections; many do.
func TestGarbageIsRememberedForAWhile(t *testing.T) {
	const live, made = 64 << 20, 4 << 30
	var h heap
	h.seen(made, live)
	if now := h.seen(made, live); now != 500 {
		t.Errorf("%d%% after a second of rest", now)
	}
	var last int
	for range 60 {
		last = h.seen(made, live)
	}
	if last != 100 {
		t.Errorf("%d%% after a minute of rest", last)
	}
}

func TestHeapIsKnown(t *testing.T) {
	before, _ := heapBytes()
	kept := make([]byte, 32<<20)
	runtime.GC()
	if made, live := heapBytes(); live < 32<<20 || made-before < 32<<20 {
		t.Errorf("%d bytes live and %d made, with %d kept", live, made-before, len(kept))
	}
	runtime.KeepAlive(kept)
}
