package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// mostUnderWay bounds the requests of one kind that wait for an answer. A server that lets so many wait doesn't keep up.
const mostUnderWay = 1024

// work is something that happens at a rate, whether or not what came before it has ended.
type work struct {
	name  string
	every time.Duration
	do    func(context.Context) error
}

// pace does work, each at its rate, and takes the time from when it was due until it is done.
type pace struct {
	report  *report
	kinds   []*paced
	stop    chan struct{}
	running sync.WaitGroup
}

// paced is one kind of work.
type paced struct {
	work
	done     atomic.Int64
	underWay chan struct{}

	mu    sync.Mutex
	times []time.Duration
}

// newPace begins all work.
func newPace(ctx context.Context, r *report, works ...work) *pace {
	p := &pace{report: r, stop: make(chan struct{})}
	for _, w := range works {
		k := &paced{work: w, underWay: make(chan struct{}, mostUnderWay)}
		p.kinds = append(p.kinds, k)
		p.running.Go(func() { p.keep(ctx, k) })
	}
	return p
}

// keep begins one after another, each when it is due.
func (p *pace) keep(ctx context.Context, k *paced) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := time.Now(); ; due = due.Add(k.every) {
		timer.Reset(time.Until(due))
		select {
		case <-p.stop:
			return
		case <-timer.C:
		}
		select {
		case k.underWay <- struct{}{}:
			p.running.Go(func() { p.one(ctx, k, due) })
		default:
			p.report.broken("%s: %d wait for an answer", k.name, mostUnderWay)
		}
	}
}

func (p *pace) one(ctx context.Context, k *paced, due time.Time) {
	defer func() { <-k.underWay }()
	if err := k.do(ctx); err != nil {
		p.report.broken("%s: %v", k.name, err)
		return
	}
	k.done.Add(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.times = append(k.times, time.Since(due))
}

// end begins nothing more and waits for what is under way.
func (p *pace) end() {
	close(p.stop)
	p.running.Wait()
}

// String says how much of what was done.
func (p *pace) String() string {
	var out []string
	for _, k := range p.kinds {
		out = append(out, fmt.Sprintf("%s %d times", k.name, k.done.Load()))
	}
	return strings.Join(out, ", ")
}

// taken is the times since it was asked last, in order.
func (k *paced) taken() []time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	times := k.times
	k.times = nil
	slices.Sort(times)
	return times
}

// quantile of times in order, in milliseconds; zero where there are none.
func quantile(times []time.Duration, q float64) float64 {
	if len(times) == 0 {
		return 0
	}
	return float64(times[int(q*float64(len(times)-1))]) / float64(time.Millisecond)
}
