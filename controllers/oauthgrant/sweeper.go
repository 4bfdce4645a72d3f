// Package oauthgrant sweeps OAuthGrants that have expired.
package oauthgrant

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

const (
	// Interval is the time between two sweeps.
	Interval = time.Minute
	// grace is how long an expired grant is kept: the longest lifetime of the code that it came from. While a grant exists, its
	// code can't be redeemed again, and a code that was redeemed at its very end must find it.
	grace = time.Minute
	// pageSize is how many grants are held in memory at once.
	pageSize = 500
	// deletesPerSecond bounds the load on the API server.
	deletesPerSecond = 50
)

// Sweeper deletes grants that expired more than a minute ago. It runs on the leader only.
type Sweeper struct {
	// Client deletes; Live reads without a cache: nobody else in the controller needs grants in memory.
	Client client.Client
	Live   client.Reader
	// Namespace is the operator's namespace, where grants are.
	Namespace string
	Now       func() time.Time
	Logger    logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (s *Sweeper) NeedLeaderElection() bool { return true }

// Start sweeps until the context ends. A sweep that fails is logged, and the next one tries again.
func (s *Sweeper) Start(ctx context.Context) error {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		deleted, err := s.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.Logger.Error(err, "sweep expired OAuthGrants", "deleted", deleted)
		case deleted > 0:
			s.Logger.Info("swept expired OAuthGrants", "deleted", deleted)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep looks at all grants once and deletes those that have expired. It returns how many it deleted.
func (s *Sweeper) Sweep(ctx context.Context) (deleted int, err error) {
	limiter := rate.NewLimiter(deletesPerSecond, deletesPerSecond)
	var next string
	for {
		var page v1alpha1.OAuthGrantList
		err := s.Live.List(ctx, &page, client.InNamespace(s.Namespace), client.Limit(pageSize), client.Continue(next))
		if apierrors.IsResourceExpired(err) {
			return deleted, nil // the list has grown too old to go on with; the next sweep starts anew
		}
		if err != nil {
			return deleted, fmt.Errorf("list OAuthGrants: %w", err)
		}
		for i := range page.Items {
			gone, err := s.sweep(ctx, &page.Items[i], limiter)
			if err != nil {
				return deleted, err
			}
			if gone {
				deleted++
			}
		}
		if next = page.Continue; next == "" {
			return deleted, nil
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context, grant *v1alpha1.OAuthGrant, limiter *rate.Limiter) (bool, error) {
	if !s.Now().After(grant.Expiry().Add(grace)) {
		return false, nil
	}
	if err := limiter.Wait(ctx); err != nil {
		return false, err
	}
	err := s.Client.Delete(ctx, grant, client.Preconditions{UID: &grant.UID})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete OAuthGrant %s: %w", grant.Name, err)
	}
	return true, nil
}
