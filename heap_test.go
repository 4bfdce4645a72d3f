package main

import (
	"runtime"
	"testing"
)

func TestGarbageIsInProportionToWhatLives(t *testing.T) {
	for live, want := range map[uint64]int{0: 800, 16 << 20: 800, 32 << 20: 400, 64 << 20: 200, 128 << 20: 100, 4 << 30: 100} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d MiB: %d%%, want %d%%", live>>20, got, want)
		}
	}
}

func TestLiveHeapIsKnown(t *testing.T) {
	kept := make([]byte, 32<<20)
	runtime.GC()
	if live := liveHeap(); live < 32<<20 {
		t.Errorf("%d bytes live, with %d kept", live, len(kept))
	}
	runtime.KeepAlive(kept)
}
