package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// garbage is how much of it there may be beside a heap that is small: most of a collection's work is what lives, so that the more
	// garbage it takes away, the less each request pays for it. Beside a large heap it is as much as lives, as Go has it by default: with
	// half of that, many clients or grants would slow down every request.
	garbage      = 128 << 20
	leastPercent = 100
	// mostPercent bounds it by what lives, which may have become more since it was looked at.
	mostPercent = 800
	// startPercent is in force until the server is ready: what reading takes then is not needed afterwards.
	startPercent = 100
	heapEvery    = time.Second
)

// gcPercent is how much garbage there may be, in percent of what lives.
func gcPercent(live uint64) int {
	return int(min(max(leastPercent, 100*garbage/max(live, 1)), mostPercent))
}

// boundHeap keeps garbage in proportion to what lives in the heap, which is what there is in the cluster. When all of that has been read,
// what reading took is given back to the system. A GOGC that somebody has set stays in force.
func (p *process) boundHeap(ctx context.Context) error {
	if previous := debug.SetGCPercent(startPercent); previous != startPercent {
		debug.SetGCPercent(previous)
		return nil
	}
	ticker := time.NewTicker(heapEvery)
	defer ticker.Stop()
	for ready, percent := false, startPercent; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if !ready && p.ready() != nil {
			continue
		}
		if !ready {
			ready = true
			debug.FreeOSMemory()
		}
		if now := gcPercent(liveHeap()); now != percent {
			percent = now
			debug.SetGCPercent(percent)
		}
	}
}

// liveHeap is what the last collection left, in bytes.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
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
