package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// leastGarbage bounds how much garbage there may be, in bytes, and mostGarbage by how much there may be more of it than of what lives; in
	// between it is what is made in garbageFor. Most of a collection's work is what lives, so that the more garbage it takes away, the less
	// each request pays for it, and a server that has little to do has no use for much. Beside a large heap there may be as much as lives,
	// as Go has it by default: with half of that, many clients or grants would slow down every request.
	leastGarbage = 32 << 20
	mostGarbage  = 256 << 20
	garbageFor   = 2 * time.Second
	leastPercent = 100
	// mostPercent bounds it by what lives, which may have become more since it was looked at.
	mostPercent = 1600
	// startPercent is in force until the server is ready: what reading takes then is not needed afterwards.
	startPercent = 100
	heapEvery    = time.Second
)

// heap is what has been seen of the heap.
type heap struct {
	// made is what has been allocated since the process began, and pace what is allocated in a second: at the moment, or a while ago and
	// less and less so. In bytes.
	made, pace uint64
}

// seen learns what has been allocated in all, heapEvery after the last time, and returns how much garbage there may be in percent of what
// lives.
func (h *heap) seen(made, live uint64) int {
	h.pace = max(made-h.made, h.pace-h.pace/8)
	h.made = made
	garbage := min(max(leastGarbage, h.pace*uint64(garbageFor/heapEvery)), mostGarbage+live)
	return int(min(max(leastPercent, 100*garbage/max(live, 1)), mostPercent))
}

// boundHeap keeps garbage in proportion to what lives in the heap, which is what there is in the cluster, and to what there is to do. When
// readiness says nil, all of the cluster has been read, and what that took is given back to the system. A GOGC that somebody has set stays in force.
func boundHeap(ctx context.Context, readiness func() error) error {
	if previous := debug.SetGCPercent(startPercent); previous != startPercent {
		debug.SetGCPercent(previous)
		return nil
	}
	ticker := time.NewTicker(heapEvery)
	defer ticker.Stop()
	var h heap
	for ready, percent := false, startPercent; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if !ready && readiness() != nil {
			continue
		}
		made, live := heapBytes()
		if !ready {
			ready, h.made = true, made
			debug.FreeOSMemory()
		}
		if now := h.seen(made, live); now != percent {
			percent = now
			debug.SetGCPercent(percent)
		}
	}
}

// heapBytes are what has been allocated since the process began, and what the last collection left.
func heapBytes() (made, live uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() != metrics.KindUint64 {
			return 0, 0
		}
	}
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// ready is the first reason why /readyz is red, nil when it is green.
func (p *process) ready() error {
	for _, check := range p.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}
