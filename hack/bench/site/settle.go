package site

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// settleTimeout is how long kube-apiserver may be busy with objects that etcd was given: its watch caches hold all of them.
	settleTimeout = 5 * time.Minute
	// idle is how much of a processor's second they may take then.
	idle = 100 * time.Millisecond
	// garbage lets kube-apiserver have twice as much of it as lives, so that it need not collect in the middle of what is measured: of
	// 200,000 objects, with which some 3 GiB live, one collection takes two processors for seconds.
	garbage = "GOGC=200"
)

// Settle has kube-apiserver collect its garbage, and returns when it and etcd have taken next to nothing for two seconds: what is measured then
// does not wait for what was done before.
func (s *Site) Settle(ctx context.Context) error {
	if err := s.collect(ctx); err != nil {
		return fmt.Errorf("have kube-apiserver collect its garbage: %w", err)
	}
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

// collect asks for a profile of what lives, before which pprof collects what does not. It drops the profile.
func (s *Site) collect(ctx context.Context) error {
	client, err := rest.HTTPClientFor(s.Config)
	if err != nil {
		return err
	}
	status, err := get(ctx, client, s.Config.Host+"/debug/pprof/heap?gc=1", io.Discard)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}
