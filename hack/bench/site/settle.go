package site

import (
	"context"
	"time"
)

const (
	// settleTimeout is how long kube-apiserver may be busy with objects that etcd was given: its watch caches hold all of them.
	settleTimeout = 5 * time.Minute
	// idle is how much of a processor's second they may take then.
	idle = 100 * time.Millisecond
)

// Settle returns when kube-apiserver and etcd have taken next to nothing for two seconds: what is measured then does not wait for what was
// done before.
func (s *Site) Settle(ctx context.Context) error {
	before, quiet := time.Duration(-1), 0
	return Poll(ctx, settleTimeout, time.Second, func(context.Context) (bool, error) {
		var spent time.Duration
		for _, pid := range s.PIDs() {
			t, err := ProcessorTime(pid)
			if err != nil {
				return false, err
			}
			spent += t
		}
		if quiet++; before < 0 || spent-before > idle {
			quiet = 0
		}
		before = spent
		return quiet == 2, nil
	})
}
