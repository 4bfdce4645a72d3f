package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// roomyHeap is how much a heap may hold until it is kept tighter: garbage may come to as much as what lives in a small one, and to half
	// of that in a large one, which is collected seldom anyway.
	roomyHeap              = 64 << 20
	roomyPercent           = 100
	tightPercent           = 50
	heapEvery, readyPolled = time.Minute, time.Second
)

// gcPercent is how much garbage there may be, in percent of what lives.
func gcPercent(live uint64) int {
	if live <= roomyHeap {
		return roomyPercent
	}
	return max(tightPercent, int(roomyPercent*roomyHeap/live))
}

// boundHeap keeps the heap in proportion to what lives in it, which is what there is in the cluster. When all of that has been read, what
// reading took is given back to the system. A GOGC that somebody has set stays in force.
func (p *process) boundHeap(ctx context.Context) error {
	if previous := debug.SetGCPercent(roomyPercent); previous != roomyPercent {
		debug.SetGCPercent(previous)
		return nil
	}
	ticker := time.NewTicker(readyPolled)
	defer ticker.Stop()
	for ready := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if !ready && p.ready() == nil {
			ready = true
			debug.FreeOSMemory()
			ticker.Reset(heapEvery)
		}
		debug.SetGCPercent(gcPercent(liveHeap()))
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
