package size

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

const (
	// expired is for how long the grants have been over that are swept.
	expired = -time.Hour
	// sampleEvery is how often the controller's memory is looked at.
	sampleEvery  = 200 * time.Millisecond
	sweepTimeout = time.Hour
)

// sweep lets all grants expire and times how long it takes until the controller has deleted them.
func (b *bench) sweep(ctx context.Context) (err error) {
	if err := b.PutGrants(ctx, b.Objects, expired, 0); err != nil {
		return err
	}
	before, err := b.requests(ctx)
	if err != nil {
		return err
	}
	controller, err := b.StartController(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, controller.Close()) }()
	began, looks := time.Now(), 0
	err = site.Poll(ctx, sweepTimeout, sampleEvery, func(ctx context.Context) (bool, error) {
		if err := controller.Failure(); err != nil {
			return false, err
		}
		looks++
		left, err := b.Count(ctx, &v1alpha1.OAuthGrantList{})
		return left <= 1, err // the one that is copied is not over
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	m, err := memoryOf(controller.PID())
	if err != nil {
		return err
	}
	after, err := b.requests(ctx)
	if err != nil {
		return err
	}
	b.note(fmt.Sprintf("controller: %d expired grants swept", b.Objects), took.Seconds(), "s")
	b.note("controller: pages read", after.since(before)["LIST oauthgrants"]-float64(looks), "")
	b.note("controller: most resident memory while sweeping", m.peak/mebibyte, "MiB")
	b.note("controller: the same above what it takes at rest", (m.peak-b.resting)/mebibyte, "MiB")
	return nil
}
